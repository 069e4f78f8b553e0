"""draft"""
from harness.task import *
from tasks.llm.mup_weight_decay_transfer.params import Params
M=["val_loss"]
TASK = Task(id="mup-weight-decay-transfer", version=1, paper=Paper(arxiv="2510.15262", title="Robust Layerwise Scaling Rules by Proper Weight Decay Tuning", year=2025),
 params=Params, methods=[Method(n,"control") for n in ("sqrt-width","constant","linear-width","standard-parametrisation","no-decay")],
 metrics=[Metric("val_loss","nats/token","lower")], scales={}, claims=[], run="tasks.llm.mup_weight_decay_transfer.experiment:run")
