"""Narratives beside their references: where they are logged, and which."""

from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger, WandbLogger
from torch.utils.data import DataLoader

from corpus.dataset import Batch
from neuronarrator.datamodule import BatchList
from neuronarrator.narration import NarrationTask, Recipe
from neuronarrator.narrator import Narrator, NarratorConfig
from neuronarrator.samples import SAMPLES_FILE, Sample, log_samples

SAMPLES = [Sample("Alpha leads.", "Alpha rhythm leads."), Sample("Flat.", "Beta.")]


class Board(TensorBoardLogger):
    """TensorBoard's logger in front of a list."""

    def __init__(self) -> None:
        self.texts: list[tuple[str, str, int]] = []

    @property
    def experiment(self) -> Any:
        return self

    def add_text(self, tag: str, text: str, step: int) -> None:
        self.texts.append((tag, text, step))


class Tables(WandbLogger):
    """W&B's logger in front of a list."""

    def __init__(self) -> None:
        self.tables: list[Any] = []

    def log_table(self, *args: Any, **kwargs: Any) -> None:
        self.tables.append((args, kwargs))

    log_text = log_table


def test_each_logger_gets_text_in_its_own_way(tmp_path: Path) -> None:
    board, tables, plain = Board(), Tables(), CSVLogger(tmp_path, name="run", version=0)
    log_samples([board, tables, plain], SAMPLES, 7)
    log_samples([plain], SAMPLES, 9)
    ((tag, text, step),) = board.texts
    assert (tag, step) == ("val/narratives", 7)
    assert text.index("Alpha leads.") < text.index("Alpha rhythm leads.") < text.index("Flat.")
    ((args, kwargs),) = tables.tables
    assert args == ("val/narratives",)
    assert kwargs["data"] == [[0, "Alpha leads.", "Alpha rhythm leads."], [1, "Flat.", "Beta."]]
    assert kwargs["step"] == 7
    written = (tmp_path / "run" / "version_0" / SAMPLES_FILE).read_text()
    assert written.index("## Step 7") < written.index("**Reference.** Beta.") < written.index("## Step 9")


def test_no_samples_write_no_file(tmp_path: Path) -> None:
    log_samples([CSVLogger(tmp_path, name="run", version=0)], [], 0)
    assert not (tmp_path / "run").exists()


def test_a_validation_logs_the_first_segment_of_its_first_batches(
    narrator: Narrator, batch: Batch, tmp_path: Path
) -> None:
    narrator.tokenizer.save_pretrained(tmp_path / "tokenizer")
    config = NarratorConfig(llm=narrator.config.llm, modalities=("signal", "topomap"), max_new_tokens=5)
    task = NarrationTask(config, tokenizer=str(tmp_path / "tokenizer"), recipe=Recipe(samples=1))
    logger = CSVLogger(tmp_path, name="run", version=0)
    trainer = L.Trainer(logger=logger, enable_progress_bar=False, enable_checkpointing=False, accelerator="cpu")
    trainer.validate(task, DataLoader(BatchList([batch, batch]), batch_size=None), verbose=False)
    written = (tmp_path / "run" / "version_0" / SAMPLES_FILE).read_text()
    told = task.narrator.generate(batch)[0].text
    assert written == f"## Step 0\n\n**Segment 0, written.** {told}\n\n**Reference.** {batch.narratives[0]}\n\n"
