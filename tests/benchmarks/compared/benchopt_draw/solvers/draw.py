import os

from benchopt import BaseSolver
from compared.work import trial


class Solver(BaseSolver):
    name = "draw"
    sampling_strategy = "run_once"
    parameters = {"number": list(range(int(os.environ["COMPARED_TRIALS"])))}  # noqa: RUF012

    def set_objective(self, pause):
        self.pause = pause

    def run(self, _):
        self.value = trial(self.number, self.pause)

    def get_result(self):
        return {"value": self.value}
