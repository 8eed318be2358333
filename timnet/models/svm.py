"""A linear support vector machine on statistics of the same features: the reference that a network has to beat.

Before networks, emotion in speech was recognised so: statistics of each coefficient over the utterance (timnet.classical
says which) and a linear SVM. It is fitted in a second. Where a network is no better on the same folds, what the network
adds is not the order of the sounds, which the statistics hardly know.
"""

import numpy as np

from timnet.models.base import Model

MAX_ITERATIONS = 10_000  # of liblinear's Newton steps; some tens are enough


def fit(statistics: np.ndarray, classes: np.ndarray, c: float) -> tuple[np.ndarray, np.ndarray]:
    """Kernel (n_statistics, n_classes) and bias (n_classes,), float64: one class against the others, for each class.

    Every class weighs alike however many utterances it has, since it does so in the UAR. The primal problem has one
    solution, which liblinear approaches without random numbers, so the same data give the same numbers.
    """
    from sklearn.svm import LinearSVC

    machine = LinearSVC(C=c, dual=False, class_weight="balanced", max_iter=MAX_ITERATIONS)
    machine.fit(statistics, classes)
    kernel, bias = machine.coef_.T, machine.intercept_
    if len(bias) == 1:  # of two classes, scikit-learn keeps the second one's decision value alone
        kernel, bias = np.hstack([-kernel, kernel]), np.concatenate([-bias, bias])
    return kernel, bias


MODEL = Model(
    name="svm",
    title="Linear SVM",
    description="linear support vector machine on statistics of every coefficient over the utterance (reference)",
    fit=fit,
    chosen="strength of the regularisation",
)
