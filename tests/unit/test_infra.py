"""The files of infra/ are read, since nothing here can start them: their shape, versions, ports, users and commands."""

import importlib.util
import json
import re
import shlex
from importlib.metadata import requires
from pathlib import Path

import jsonschema
import pytest
import yaml
from packaging.requirements import Requirement

import timnet
from flows.command import Environment, parse
from flows.start import PATIENCE

ROOT = Path(__file__).resolve().parents[2]
INFRA = ROOT / "infra"
OURS = re.compile(rf"timnet:{re.escape(timnet.__version__)}-(cpu|gpu)")
A_SECRET = re.compile(r"PASSWORD|SECRET|TOKEN|ACCESS_KEY|CONNECTION_URL")


def load(name: str) -> dict:
    text = (INFRA / name).read_text()
    return json.loads(text) if name.endswith(".json") else yaml.safe_load(text)


def locked(file: Path) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9_.-]+)==([^ ;\\]+)", file.read_text(), re.MULTILINE))


COMPOSE = load("compose.yaml")
SERVICES: dict[str, dict] = COMPOSE["services"]
CLUSTER = load("kuberay/raycluster.yaml")
JOB = load("kuberay/rayjob.yaml")
LAUNCHER = load("ray-cluster.yaml")
RAY_SPECS = {"raycluster": CLUSTER["spec"], "rayjob": JOB["spec"]["rayClusterSpec"]}
DOCKERFILE = (INFRA / "Dockerfile").read_text()
BUILT = set(re.findall(r"^FROM \S+ AS (\w+)$", DOCKERFILE, re.MULTILINE))


def groups() -> list[tuple[str, dict]]:
    return [
        (f"{name} {group.get('groupName', 'head')}", group)
        for name, spec in RAY_SPECS.items()
        for group in (spec["headGroupSpec"], *spec["workerGroupSpecs"])
    ]


def ray_start_options(*, head: bool) -> set[str]:
    from ray.scripts.scripts import start

    names = {option for parameter in start.params for option in parameter.opts + parameter.secondary_opts}
    return names if head else names - {"--head"}


@pytest.mark.parametrize("file", sorted(INFRA.rglob("*.*")), ids=lambda file: file.name)
def test_every_file_parses_and_names_no_latest_image(file):
    text = file.read_text()
    if file.suffix in (".yaml", ".yml"):
        assert isinstance(yaml.safe_load(text), dict)
    elif file.suffix == ".json":
        assert json.loads(text)
    assert not re.search(r"(image:|FROM) *\S+:latest", text)
    assert "/work" not in text


def test_the_image_has_the_python_and_the_lock_of_the_project():
    assert timnet.__version__ in DOCKERFILE
    (base,) = re.findall(r"^FROM python:(\d+\.\d+)-", DOCKERFILE, re.MULTILINE)
    assert f'requires-python = "=={base}.*"' in (ROOT / "pyproject.toml").read_text()
    installs = [line for line in DOCKERFILE.splitlines() if "pip install" in line]
    assert len(installs) == 3
    for line in installs:
        assert (
            "--require-hashes --requirement requirements" in line
            or "--no-deps --no-build-isolation --editable ." in line
        )


def test_the_image_has_what_others_call_in_it():
    """KubeRay's health checks, and rsync, with which `ray up` copies into the head's container."""
    (packages,) = re.findall(r"apt-get install [^\\]*", DOCKERFILE)
    assert {"wget", "rsync"} <= set(packages.split())


def test_a_deployed_run_is_as_patient_with_prefects_server_as_a_command():
    deployments = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    found = [one["work_pool"]["job_variables"]["env"]["PREFECT_CLIENT_MAX_RETRIES"] for one in deployments]
    found.append(SERVICES["worker"]["environment"]["PREFECT_CLIENT_MAX_RETRIES"])
    assert found == [str(PATIENCE)] * 7


def test_no_stage_of_the_image_ends_as_root():
    for stage in re.split(r"^FROM ", DOCKERFILE, flags=re.MULTILINE)[1:]:
        assert re.findall(r"^USER (\S+)", stage, re.MULTILINE)[-1] == "1000:1000"


def test_the_image_keeps_grpc_from_ending_drivers_that_join_as_clients():
    """As tests/integration/test_ray_client.py starts its head; the gpu target is made from the cpu target."""
    assert "    GRPC_ENABLE_FORK_SUPPORT=0 \\\n" in DOCKERFILE.partition("FROM cpu AS gpu")[0]


def test_what_the_image_copies_is_there_and_reaches_the_builder():
    sent = (INFRA / "Dockerfile.dockerignore").read_text().splitlines()
    copied = [part for line in re.findall(r"^COPY (.+)$", DOCKERFILE, re.MULTILINE) for part in line.split()[:-1]]
    assert "flows" in copied
    for path in copied:
        assert (ROOT / path).exists()
        assert f"!{path}" in sent


def test_the_cuda_libraries_are_those_that_the_locked_tensorflow_asks_for():
    from importlib.metadata import version

    assert version("tensorflow") == locked(ROOT / "requirements.lock")["tensorflow"]
    wanted = [Requirement(line) for line in requires("tensorflow") or [] if "and-cuda" in line]
    asked = [line for line in (INFRA / "requirements-gpu.in").read_text().splitlines() if not line.startswith("#")]
    assert {(r.name, r.specifier) for r in map(Requirement, asked)} == {(r.name, r.specifier) for r in wanted}
    pinned = locked(INFRA / "requirements-gpu.lock")
    for requirement in wanted:
        assert requirement.specifier.contains(pinned[requirement.name])
    assert set(pinned) == {requirement.name for requirement in wanted}


def test_compose_refers_only_to_what_it_declares():
    conditions = {"service_started", "service_healthy", "service_completed_successfully"}
    for name, service in SERVICES.items():
        assert "image" in service, name
        for other, how in service.get("depends_on", {}).items():
            assert how["condition"] in conditions
            if how["condition"] == "service_healthy":
                assert "healthcheck" in SERVICES[other], f"{name} waits for {other}"
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("."):
                assert (INFRA / source).exists()
            elif not volume.startswith("${"):
                assert source in COMPOSE["volumes"]
        if "build" in service:
            assert (INFRA / service["build"]["context"]).resolve() == ROOT
            assert (ROOT / service["build"]["dockerfile"]).is_file()
            assert service["build"]["target"] in BUILT
            assert service["image"].endswith(service["build"]["target"])


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_pinned_unprivileged_and_on_loopback(name):
    service = SERVICES[name]
    assert OURS.fullmatch(service["image"]) or re.fullmatch(r"[a-z/]+:v?\d+\.\d+[\w.-]*", service["image"])
    assert int(service["user"].split(":")[0]) > 0
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    assert "network_mode" not in service
    for port in service.get("ports", []):
        assert re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port)


def test_secrets_are_references_and_have_a_line_in_the_example():
    example = (INFRA / "env.example").read_text()
    names = re.findall(r"^([A-Z0-9_]+)=(.*)$", example, re.MULTILINE)
    assert all(value == "" for _, value in names)
    used = set(re.findall(r"\$\{(\w+)", (INFRA / "compose.yaml").read_text()))
    assert used == {name for name, _ in names}
    seen = 0
    for service in SERVICES.values():
        for key, value in service.get("environment", {}).items():
            if A_SECRET.search(key):
                seen += 1
                assert re.search(r"\$\{\w+:\?", value), key
    assert seen > 10
    for _, group in groups():
        for container in group["template"]["spec"]["containers"]:
            assert container["envFrom"] == [{"secretRef": {"name": "timnet-s3"}}]
            assert not [variable for variable in container["env"] if A_SECRET.search(variable["name"])]
    assert "--env-file /etc/timnet.env" in LAUNCHER["docker"]["run_options"]


def test_every_variable_is_one_that_somebody_reads():
    from prefect.settings.legacy import _get_valid_setting_names
    from prefect.settings.models.root import Settings

    prefect = _get_valid_setting_names(Settings)
    ours = {f"TIMNET_{field.upper()}" for field in Environment.model_fields}
    found = {key for service in SERVICES.values() for key in service.get("environment", {})}
    found |= {v["name"] for _, group in groups() for v in group["template"]["spec"]["containers"][0]["env"]}
    found |= set(re.findall(r"(PREFECT_[A-Z_]+)=", DOCKERFILE))
    for key in found:
        if key.startswith("TIMNET_"):
            assert key in ours
        elif key.startswith("PREFECT_"):
            assert key in prefect
    assert {"TIMNET_STORE", "PREFECT_API_URL", "PREFECT_SERVER_UI_STATIC_DIRECTORY"} <= found


def test_the_commands_of_compose_exist():
    pool = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"][0]["work_pool"]["name"]
    assert SERVICES["worker"]["command"][:4] == ["prefect", "worker", "start", "--pool"]
    assert SERVICES["worker"]["command"][4] == pool
    assert f"work-pool create {pool} " in SERVICES["deploy"]["command"][2]
    for name in ("ray-head", "ray-worker", "ray-worker-gpu"):
        program, verb, *arguments = SERVICES[name]["command"]
        assert (program, verb) == ("ray", "start")
        assert {a.split("=")[0] for a in arguments} <= ray_start_options(head=name == "ray-head")
    head = SERVICES["ray-head"]["command"]
    assert SERVICES["worker"]["environment"]["TIMNET_RAY_ADDRESS"] == "ray://ray-head:10001"
    assert "--ray-client-server-port=10001" in head
    assert "--port=6379" in head
    assert "--address=ray-head:6379" in SERVICES["ray-worker"]["command"]


def test_ray_and_its_clients_share_the_token():
    for name in ("worker", "ray-head", "ray-worker", "ray-worker-gpu"):
        environment = SERVICES[name]["environment"]
        assert environment["RAY_AUTH_MODE"] == "token"
        assert environment["RAY_AUTH_TOKEN"].startswith("${RAY_AUTH_TOKEN:?")
    for spec in RAY_SPECS.values():
        assert spec["authOptions"] == {"mode": "token"}


# From KubeRay's own types (ray.io/v1): fields that a spec may have, and those that it must.
CLUSTER_FIELDS = {
    "rayVersion",
    "authOptions",
    "headGroupSpec",
    "workerGroupSpecs",
    "enableInTreeAutoscaling",
    "suspend",
}
HEAD_FIELDS = {"serviceType", "rayStartParams", "template"}
WORKER_FIELDS = {"groupName", "replicas", "minReplicas", "maxReplicas", "numOfHosts", "rayStartParams", "template"}
JOB_FIELDS = {
    "entrypoint", "submissionMode", "backoffLimit", "activeDeadlineSeconds", "shutdownAfterJobFinishes",
    "ttlSecondsAfterFinished", "runtimeEnvYAML", "rayClusterSpec", "metadata", "entrypointNumCpus",
}  # fmt: skip


@pytest.mark.parametrize("name", RAY_SPECS)
def test_kuberay_gets_the_fields_it_needs_and_no_other(name):
    spec = RAY_SPECS[name]
    assert spec.keys() <= CLUSTER_FIELDS
    assert spec["rayVersion"] == locked(ROOT / "requirements.lock")["ray"]
    assert spec["headGroupSpec"].keys() == HEAD_FIELDS
    assert spec["headGroupSpec"]["serviceType"] == "ClusterIP"
    names = [group["groupName"] for group in spec["workerGroupSpecs"]]
    assert len(set(names)) == len(names) > 0
    for group in spec["workerGroupSpecs"]:
        assert WORKER_FIELDS - {"numOfHosts"} <= group.keys() <= WORKER_FIELDS
        assert 0 <= group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]


def test_the_kuberay_objects_are_what_they_say():
    assert (CLUSTER["apiVersion"], CLUSTER["kind"]) == ("ray.io/v1", "RayCluster")
    assert (JOB["apiVersion"], JOB["kind"]) == ("ray.io/v1", "RayJob")
    for document in (CLUSTER, JOB):
        assert document.keys() == {"apiVersion", "kind", "metadata", "spec"}
        assert re.fullmatch(r"[a-z]([a-z0-9-]*[a-z0-9])?", document["metadata"]["name"])
    assert JOB["spec"].keys() <= JOB_FIELDS
    assert JOB["spec"]["submissionMode"] == "K8sJobMode"
    assert JOB["spec"]["rayClusterSpec"]["headGroupSpec"] == CLUSTER["spec"]["headGroupSpec"]
    assert JOB["spec"]["rayClusterSpec"]["workerGroupSpecs"] == CLUSTER["spec"]["workerGroupSpecs"]


@pytest.mark.parametrize(("name", "group"), groups(), ids=[name for name, _ in groups()])
def test_every_pod_is_unprivileged_and_sized(name, group):
    head = name.endswith("head")
    parameters = group["rayStartParams"]
    assert all(isinstance(value, str) for value in parameters.values())  # KubeRay takes strings only
    assert {f"--{key}" for key in parameters} <= ray_start_options(head=head)
    pod = group["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == 1000
    (container,) = pod["containers"]
    assert OURS.fullmatch(container["image"])
    assert container["image"].endswith("gpu") == ("nvidia.com/gpu" in container["resources"]["limits"])
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert container["resources"]["requests"] == container["resources"]["limits"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports["metrics"] == int(parameters["metrics-export-port"])
    assert not head or ports == {"gcs": 6379, "dashboard": 8265, "client": 10001, "metrics": 8080}
    volumes = {volume["name"] for volume in pod["volumes"]}
    assert {mount["name"] for mount in container["volumeMounts"]} == volumes


def test_the_job_is_a_command_of_ours():
    program, flag, module, *arguments = shlex.split(JOB["spec"]["entrypoint"])
    assert (program, flag) == ("python", "-m")
    assert (ROOT / f"{module.replace('.', '/')}.py").is_file()
    settings, own = parse(module, "", arguments, {})
    assert own.local  # no Prefect server in that cluster
    assert settings.ray_address == "auto"


def test_the_cluster_launcher_file_passes_rays_own_schema():
    found = importlib.util.find_spec("ray")
    assert found is not None
    assert found.submodule_search_locations is not None
    schema = json.loads((Path(found.submodule_search_locations[0]) / "autoscaler/ray-schema.json").read_text())
    jsonschema.validate(LAUNCHER, schema)
    assert OURS.fullmatch(LAUNCHER["docker"]["image"])
    assert "--user 1000:1000" in LAUNCHER["docker"]["run_options"]
    assert LAUNCHER["max_workers"] == len(LAUNCHER["provider"]["worker_ips"])
    for kind in ("head", "worker"):
        *_, start = LAUNCHER[f"{kind}_start_ray_commands"]
        options = {word.split("=")[0] for word in shlex.split(start) if word.startswith("--")}
        assert options <= ray_start_options(head=kind == "head")
    assert "--dashboard-host=127.0.0.1" in LAUNCHER["head_start_ray_commands"][-1]


def test_prometheus_asks_every_ray_node_at_the_port_that_it_exports():
    ray, prefect = load("prometheus.yml")["scrape_configs"]
    (found,) = ray["dns_sd_configs"]
    assert found["names"] == [name for name in SERVICES if name.startswith("ray-")]
    for name in found["names"]:
        assert f"--metrics-export-port={found['port']}" in SERVICES[name]["command"]
    assert prefect["static_configs"] == [{"targets": ["prefect:4200"]}]
    assert SERVICES["prefect"]["environment"]["PREFECT_SERVER_METRICS_ENABLED"] == "true"


def known_metrics() -> set[str]:
    """Ray's own, as its own dashboards name them, and ours, which Ray exports with its prefix."""
    found = importlib.util.find_spec("ray")
    assert found is not None
    assert found.submodule_search_locations is not None
    panels = (
        Path(found.submodule_search_locations[0]) / "dashboard/modules/metrics/dashboards/default_dashboard_panels.py"
    )
    ours = re.findall(r'Gauge\(\s*"(\w+)"', (ROOT / "tasks/actors.py").read_text())
    assert ours
    return set(re.findall(r"\bray_\w+", panels.read_text())) | {f"ray_{name}" for name in ours}


def test_the_dashboard_draws_metrics_that_exist():
    dashboard = load("grafana/dashboards/timnet.json")
    uid = load("grafana/provisioning/datasources/prometheus.yaml")["datasources"][0]["uid"]
    mounted = {volume.split(":")[1]: volume.split(":")[0] for volume in SERVICES["grafana"]["volumes"]}
    provider = load("grafana/provisioning/dashboards/timnet.yaml")["providers"][0]
    assert (INFRA / mounted[provider["options"]["path"]] / "timnet.json").is_file()
    drawn = set()
    for panel in dashboard["panels"]:
        assert panel["datasource"]["uid"] == uid
        for target in panel["targets"]:
            names = set(re.findall(r"\bray_\w+", target["expr"]))
            assert names, target["expr"]
            drawn |= names
    assert drawn <= known_metrics()
    assert {"ray_timnet_epoch", "ray_timnet_loss", "ray_timnet_utterances_per_second"} <= drawn
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
