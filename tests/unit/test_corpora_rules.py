"""The file-name rules, against paths read by hand from the corpora's own descriptions."""

import pytest

from timnet.corpora import casia, emodb, emovo, iemocap, ravdess, savee
from timnet.corpora.base import Problem, Utterance

CODES = {"ses01f_impro01_f000": "neu", "ses03m_impro05b_m012": "exc", "ses05m_script01_1b_f031": "ang"}
CODES |= {"ses02f_impro02_m001": "fru", "ses02f_impro02_m002": "xyz", "ses04f_script03_2_f010": "hap"}


def iemocap_rule(path):
    return iemocap.parse(path, CODES)


@pytest.mark.parametrize(
    ("rule", "path", "emotion", "speaker", "sentence"),
    [
        (emodb.parse, "wav/03a01Fa.wav", "happy", "03", "a01"),
        (emodb.parse, "16b10Wb.wav", "angry", "16", "b10"),
        (emodb.parse, "download/wav/11a02Lc.WAV", "boredom", "11", "a02"),
        (emodb.parse, "wav/14a05Ea.wav", "disgust", "14", "a05"),
        (emodb.parse, "wav/08b01Aa.flac", "fear", "08", "b01"),
        (emodb.parse, "wav/09a07Na.wav", "neutral", "09", "a07"),
        (emodb.parse, "WAV/15B09TA.WAV", "sad", "15", "b09"),
        (emovo.parse, "f1/dis-f1-b1.wav", "disgust", "f1", "b1"),
        (emovo.parse, "EMOVO/M3/tri-m3-n5.WAV", "sad", "m3", "n5"),
        (emovo.parse, "gio-f2-l4.wav", "happy", "f2", "l4"),
        (emovo.parse, "m1/pau-m1-d2.wav", "fear", "m1", "d2"),
        (emovo.parse, "m1/rab-m1-d2.wav", "angry", "m1", "d2"),
        (emovo.parse, "m2/sor-m2-n1.wav", "surprise", "m2", "n1"),
        (emovo.parse, "f3/neu-f3-b3.wav", "neutral", "f3", "b3"),
        (casia.parse, "liuchanhg/angry/201.wav", "angry", "liuchanhg", "201"),
        (casia.parse, "CASIA database/zhaozuoxiang/Surprise/250.WAV", "surprise", "ZhaoZuoxiang", "250"),
        (casia.parse, "ZhaoZuoxiang/fear/222.wav", "fear", "ZhaoZuoxiang", "222"),
        (casia.parse, "wangzhe/neutral/205.wav", "neutral", "wangzhe", "205"),
        (ravdess.parse, "Actor_01/03-01-05-02-01-01-01.wav", "angry", "01", "01"),
        (ravdess.parse, "Audio_Speech_Actors_01-24/Actor_24/03-01-02-01-02-02-24.wav", "calm", "24", "02"),
        (ravdess.parse, "03-01-01-01-01-02-13.WAV", "neutral", "13", "01"),
        (ravdess.parse, "actor_07/03-01-08-01-02-01-07.wav", "surprise", "07", "02"),
        (ravdess.parse, "Actor_10/03-01-06-01-02-01-10.wav", "fear", "10", "02"),
        (savee.parse, "AudioData/DC/sa01.wav", "sad", "DC", None),
        (savee.parse, "DC/su15.wav", "surprise", "DC", None),
        (savee.parse, "KL_n30.wav", "neutral", "KL", None),
        (savee.parse, "AudioData/JE_a09.WAV", "angry", "JE", None),
        (savee.parse, "SAVEE/AudioData/jk/D03.wav", "disgust", "JK", None),
        (savee.parse, "DC/DC_f15.wav", "fear", "DC", None),
        (savee.parse, "ALL/JE_h12.wav", "happy", "JE", None),
        (iemocap_rule, "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav", "neutral", "Ses01F", "impro01"),
        # the speaker is not the letter in the dialog's name
        (
            iemocap_rule,
            "x/Session5/sentences/wav/Ses05M_script01_1b/Ses05M_script01_1b_F031.wav",
            "angry",
            "Ses05F",
            "script01_1",
        ),
        (iemocap_rule, "session3/sentences/WAV/Ses03M_impro05b/Ses03M_impro05b_M012.wav", "happy", "Ses03M", "impro05"),
        (
            iemocap_rule,
            "Session4/sentences/wav/Ses04F_script03_2/Ses04F_script03_2_F010.wav",
            "happy",
            "Ses04F",
            "script03_2",
        ),
    ],
)
def test_a_name_that_follows_the_rule(rule, path, emotion, speaker, sentence):
    session = path.split("/sentences")[0].split("/")[-1].capitalize() if rule is iemocap_rule else None
    assert rule(path) == Utterance(path, emotion, speaker=speaker, sentence=sentence, session=session)


@pytest.mark.parametrize(
    ("rule", "path", "kind", "said"),
    [
        (emodb.parse, "wav/notes.wav", "unrecognised-name", "<speaker: 2 digits>"),
        (emodb.parse, "wav/03a01F.wav", "unrecognised-name", "03a01Fa.wav"),
        (emodb.parse, "wav/03a01Fab.wav", "unrecognised-name", "does not follow the rule"),
        (emodb.parse, "wav/03c01Fa.wav", "unrecognised-name", "sentence: a or b"),
        (emodb.parse, "wav/07a01Fa.wav", "unrecognised-name", "no speaker 07, only 03, 08"),
        (emodb.parse, "wav/03a01Xa.wav", "unknown-label", "'X' is no emotion of this corpus; allowed are W (angry), L"),
        (emovo.parse, "f1/dis-f1.wav", "unrecognised-name", "<emotion: 3 letters>-<speaker>-<sentence>"),
        (emovo.parse, "f1/dis-f4-b1.wav", "unrecognised-name", "no speaker f4"),
        (emovo.parse, "f1/dis-f2-b1.wav", "unrecognised-name", "folder says speaker f1 and its name f2"),
        (emovo.parse, "f1/abc-f1-b1.wav", "unknown-label", "dis (disgust), gio (happy)"),
        (casia.parse, "201.wav", "unrecognised-name", "does not lie in a folder"),
        (casia.parse, "wangzhe/201.wav", "unrecognised-name", "does not lie in a folder"),
        (casia.parse, "anybody/angry/201.wav", "unrecognised-name", "only liuchanhg, wangzhe, zhaoquanyin, ZhaoZuo"),
        (casia.parse, "wangzhe/angry/200.wav", "unrecognised-name", "201 to 250"),
        (casia.parse, "wangzhe/angry/251.wav", "unrecognised-name", "no sentence '251'"),
        (casia.parse, "wangzhe/angry/²01.wav", "unrecognised-name", "no sentence"),
        (
            casia.parse,
            "wangzhe/bored/201.wav",
            "unknown-label",
            "allowed are angry, fear, happy, neutral, sad, surprise",
        ),
        (ravdess.parse, "Actor_01/03-01-05-02-01-01.wav", "unrecognised-name", "<modality>-<channel>"),
        (ravdess.parse, "Actor_01/03-01-05-02-01-01-1.wav", "unrecognised-name", "two digits"),
        (ravdess.parse, "Actor_01/03-01-05-03-01-01-01.wav", "unrecognised-name", "does not follow"),
        (ravdess.parse, "Actor_25/03-01-05-02-01-01-25.wav", "unrecognised-name", "no actor 25, only 01 to 24"),
        (
            ravdess.parse,
            "Actor_01/03-01-05-02-01-01-02.wav",
            "unrecognised-name",
            "folder says actor 01 and its name 02",
        ),
        (ravdess.parse, "Actor_01/03-01-09-02-01-01-01.wav", "unknown-label", "05 (angry)"),
        (savee.parse, "AudioData/DC/sad1.wav", "unrecognised-name", "DC/sa01.wav or DC_sa01.wav"),
        (savee.parse, "AudioData/sa01.wav", "unrecognised-name", "neither its name nor its folder"),
        (savee.parse, "sa01.wav", "unrecognised-name", "neither its name nor its folder"),
        (savee.parse, "AB_sa01.wav", "unrecognised-name", "speakers are DC, JE, JK, KL"),
        (savee.parse, "DC/KL_sa01.wav", "unrecognised-name", "folder says speaker DC and its name KL"),
        (savee.parse, "DC/x01.wav", "unknown-label", "sa (sad), su (surprise)"),
        (savee.parse, "DC/s01.wav", "unknown-label", "'s' is no emotion"),
        (savee.parse, "DC/a16.wav", "unrecognised-name", "no number 16 of angry"),
        (savee.parse, "DC/n31.wav", "unrecognised-name", "no number 31 of neutral"),
        (savee.parse, "DC/a00.wav", "unrecognised-name", "no number 00"),
        (iemocap_rule, "Ses01F_impro01_F000.wav", "unrecognised-name", "it lies elsewhere"),
        (
            iemocap_rule,
            "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_X000.wav",
            "unrecognised-name",
            "<F or M><number: 3 digits>",
        ),
        (
            iemocap_rule,
            "Session2/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav",
            "unrecognised-name",
            "another session or dialog",
        ),
        (
            iemocap_rule,
            "Session1/sentences/wav/Ses01F_impro02/Ses01F_impro01_F000.wav",
            "unrecognised-name",
            "another session or dialog",
        ),
        (
            iemocap_rule,
            "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F999.wav",
            "unknown-label",
            "no file in dialog/EmoEvaluation has a line for this turn",
        ),
        (
            iemocap_rule,
            "Session2/sentences/wav/Ses02F_impro02/Ses02F_impro02_M002.wav",
            "unknown-label",
            "'xyz' is no emotion of this corpus; allowed are ang (angry), hap (happy), exc (happy)",
        ),
    ],
)
def test_a_name_that_does_not(rule, path, kind, said):
    problem = rule(path)
    assert isinstance(problem, Problem)
    assert (problem.kind, problem.path) == (kind, path)
    assert problem.message.startswith(f"{path}: ")
    assert said in problem.message


@pytest.mark.parametrize(
    ("rule", "path"),
    [
        (ravdess.parse, "Actor_01/03-02-05-02-01-01-01.wav"),  # song
        (ravdess.parse, "Actor_01/01-01-05-02-01-01-01.wav"),  # the sound of a video
        (iemocap_rule, "Session2/sentences/wav/Ses02F_impro02/Ses02F_impro02_M001.wav"),  # frustrated
        (iemocap_rule, "Session1/dialog/wav/Ses01F_impro01.wav"),  # a whole dialog
    ],
)
def test_a_recording_that_is_not_of_the_task(rule, path):
    assert rule(path) is None


def test_the_label_lines_of_iemocap():
    text = (
        "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\r\n\r\n"
        "[6.2901 - 8.2357]\tSes01F_impro01_F000\tneu\t[2.5000, 2.5000, 2.5000]\r\n"
        "C-E2:\tNeutral;\t()\r\n"
        "A-E3:\tval 3; act 2; dom  2;\t()\r\n\r\n"
        "[10.0100 - 11.3925]\tSes01F_impro01_M001\txxx\t[2.5000, 2.5000, 2.5000]\r\n"
        "C-E2:\tAnger;\t(it\x92s [1.0 - 2.0]\tSes01F_impro01_M999\tang\t[)\r\n"
    )
    assert iemocap.codes_in(text) == {"ses01f_impro01_f000": "neu", "ses01f_impro01_m001": "xxx"}
