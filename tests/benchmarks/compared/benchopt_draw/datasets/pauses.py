import os

from benchopt import BaseDataset


class Dataset(BaseDataset):
    name = "pauses"

    def get_data(self):
        return {"pause": float(os.environ["COMPARED_PAUSE"])}
