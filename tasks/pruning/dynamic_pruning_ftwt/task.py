"""WHAT: does switching filters for each input beat removing them for all? Fire Together Wire Together, arXiv 2110.08232."""

from __future__ import annotations

from harness.task import Method, Metric, Paper, Task
from tasks.pruning.dynamic_pruning_ftwt.claims import CLAIMS
from tasks.pruning.dynamic_pruning_ftwt.columns import STATISTICS
from tasks.pruning.dynamic_pruning_ftwt.figures import FIGURES
from tasks.pruning.dynamic_pruning_ftwt.params import Params
from tasks.pruning.dynamic_pruning_ftwt.scales import SCALES, seconds
from tasks.pruning.params import requires_dense

METHODS = (
    Method("dense", "baseline", "nothing pruned; every other method starts from this network or, from scratch, from its first weights"),
    Method("ftwt-code", "proposed", "FTWT as released: average pooling, softmax over channels, linear map; decoupled, heat-map mass"),
    Method("ftwt-paper", "proposed", "FTWT as the paper's figure caption has it: maximum pooling"),
    Method("ftwt-no-softmax", "proposed", "maximum pooling and no softmax"),
    Method("ftwt-joint", "proposed", "ftwt-code, its mask loss trains the backbone too"),
    Method("ftwt-uniform", "control", "ftwt-code with the same number of filters in every layer and input instead of the heat-map mass"),
    Method("ftwt-constant", "control", "ftwt-code with a bias alone for a predictor: the same mask for every input"),
    Method("ftwt-oracle", "control", "the ground truth itself for a mask, which needs every filter computed: the bound on any predictor"),
    Method("l1", "baseline", "filters of least L1 norm removed (Li et al. 2017), the same share of every layer"),
    Method("fpgm", "baseline", "filters nearest to the geometric median removed (He et al. 2019)"),
    Method("taylor", "baseline", "filters of least first-order effect on the loss removed (Molchanov et al. 2019)"),
    Method("sfp", "baseline", "soft filter pruning (He et al. 2018): zeroed after every epoch, free to grow again, removed at the end"),
    Method("bn-scale", "baseline", "filters of least BatchNorm scale removed (Liu et al. 2017)"),
    Method("group-norm", "baseline", "group norm over everything a channel runs through (DepGraph, Fang et al. 2023)"),
    Method("random", "floor", "filters removed at random"),
    Method("smaller-from-scratch", "baseline", "a narrower network of the same FLOPs, trained for as many epochs in all"),
)

METRICS = (
    Metric("val_loss", "nats", "lower", "cross-entropy on the validation split"),
    Metric("test_loss", "nats", "lower", "the same on the test split; selects nothing"),
    Metric("val_accuracy", "percent", "higher", "top-1 on the validation split"),
    Metric("test_accuracy", "percent", "higher", "top-1 on the test split"),
    Metric("dense_accuracy", "percent", "higher", "test accuracy of the dense network of the seed"),
    Metric("accuracy_drop", "points", "lower", "dense_accuracy - test_accuracy"),
    Metric("train_loss", "nats", "lower", "mean of the last steps; with the mask loss where that is on"),
    Metric("multiply_adds", "count", "lower", "of one image: a gated network's mean over test images if switched filters were skipped"),
    Metric("flops_reduction", "percent", "higher", "saved of the dense network's multiply-adds; predictors and classifier are counted"),
    Metric("flops_reduction_as_published", "percent", "none", "the same as the authors' code counts, faults included"),
    Metric("flops_std", "percent", "none", "standard deviation of flops_reduction over test images"),
    Metric("predicted_reduction", "percent", "none", "flops_reduction of the dense network's ground truth, before any training"),
    Metric("level", "ratio", "none", "the rule's level: share of the mass kept, or of the filters dropped"),
    Metric("mask_accuracy", "percent", "higher", "filters as the ground truth has them, mean over layers and test images"),
    Metric("constant_mask_accuracy", "percent", "none", "the same of the best mask for all inputs, chosen on training images"),
    Metric("empty_layers", "percent", "lower", "layers left without a filter, mean over test images"),
    Metric("parameters", "count", "none", "numbers of the network as it runs, predictors included"),
    Metric("parameters_kept", "percent", "lower", "of the dense network's"),
    Metric("latency_ms", "ms", "lower", "of a batch as the network runs: a gated one computes every filter, a pruned one is smaller"),
    Metric("latency_ratio", "ratio", "lower", "latency over that of the dense network, measured in turns"),
)

TASK = Task(
    id="dynamic-pruning-ftwt",
    version=1,
    paper=Paper(
        arxiv="2110.08232",
        title="Fire Together Wire Together: A Dynamic Pruning Approach with Self-Supervised Mask Prediction",
        year=2022,
        authors="Elkerdawy, Elhoushi, Zhang, Ray",
        code="https://github.com/selkerdawy/FTWT",
    ),
    params=Params,
    methods=METHODS,
    metrics=METRICS,
    scales=SCALES,
    claims=CLAIMS,
    statistics=STATISTICS,
    figures=FIGURES,
    run="tasks.pruning.dynamic_pruning_ftwt.experiment:run",
    requires=requires_dense,
    seconds=seconds,
    summary="Whether predicting, for each input, which filters to compute beats removing filters for good at equal FLOPs.",
)
