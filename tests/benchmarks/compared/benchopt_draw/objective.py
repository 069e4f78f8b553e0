"""benchopt: one run of a solver is a trial. The layout is that of https://benchopt.github.io/stable/tutorials/build_benchmark.html."""

from benchopt import BaseObjective


class Objective(BaseObjective):
    name = "value"
    sampling_strategy = "run_once"

    def set_data(self, pause):
        self.pause = pause

    def get_objective(self):
        return {"pause": self.pause}

    def get_one_result(self):
        return {"value": 0.0}

    def evaluate_result(self, value):
        return {"value": value}
