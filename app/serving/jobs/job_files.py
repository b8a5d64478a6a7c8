"""The files of jobs: what was sent, the chunks that were read, and their results.

A file is written beside its place and renamed, so that it is complete whenever it exists, also
after a crash of the machine. The names of results have the attempt that wrote them: the table has
the attempt that counts.
"""

from __future__ import annotations

import errno
import io
import os
import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from app.serving.errors import InsufficientStorage, UnreadableFile
from app.serving.jobs.job import Job
from app.serving.tables import encodings, tables, workbooks
from app.serving.tables.csv_file import CsvFile, csv_lines
from mlmodel.errors import InvalidInput, TooLarge
from mlmodel.schema.subschemas import JsonSchema

#: What the system reports if a disk, a quota or a limit of files is full.
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
#: How often a job writes the size of its file: once as it is sent, then its rows and its results.
COPIES = 3
#: The beginning of a CSV file in which its header is looked for.
BEGINNING_BYTES = 1 << 18
#: Bytes to which a compressed file is expanded to check it when it is sent.
EXPANDED_BYTES = encodings.MAX_BYTES_IN_MEMORY
#: The name of the folder of a job. Other folders in JOBS_FOLDER are never removed.
JOB_ID = re.compile(r"[0-9a-f]{20}")
#: Seconds after which a folder without a job, such as that of an interrupted upload, is removed.
ORPHAN_SECONDS = 86_400.0


class JobFiles:
    """The folder that holds a folder for each job.

    :param free_bytes: the space on the disk that jobs leave free.
    :raises OSError: if the folder cannot be created.
    """

    def __init__(self, folder: Path, free_bytes: int) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder = folder
        self._free_bytes = free_bytes

    def check_beginning(self, job_id: str, form: str, schema: JsonSchema, charset: str) -> None:
        """Check the file that was sent: a header of CSV, the parts of a workbook, its compression.

        Of a compressed file, this reads up to :data:`EXPANDED_BYTES`: if it is longer, the process
        that reads all of it finds what is wrong.

        :raises InvalidInput: if no row of the file can be read.
        :raises UnreadableFile: if it is cut off, has another format, or a short CSV file another
            encoding.
        """
        with self.source(job_id).open("rb") as stream:
            try:
                expanded = encodings.expand(stream, EXPANDED_BYTES)
            except TooLarge:
                return
            with expanded as content:
                _check_content(content, form, schema, charset)

    def source(self, job_id: str) -> Path:
        """Return the path of the file that was sent."""
        return self.folder / job_id / "input"

    def rows(self, job_id: str, number: int) -> Path:
        """Return the path of the rows of a chunk."""
        return self.folder / job_id / f"rows-{number:05}.arrow"

    def part(self, job_id: str, number: int, attempt: int) -> Path:
        """Return the path of the predictions of a chunk."""
        return self.folder / job_id / f"part-{number:05}.{attempt}.arrow"

    def bad(self, job_id: str, number: int, attempt: int) -> Path:
        """Return the path of the invalid rows of a chunk."""
        return self.folder / job_id / f"bad-{number:05}.{attempt}.ndjson"

    def create(self, job_id: str) -> None:
        """Create the folder of a job."""
        (self.folder / job_id).mkdir(mode=0o700)
        _sync_folder(self.folder)

    def remove(self, job_id: str) -> None:
        """Remove all files of a job."""
        shutil.rmtree(self.folder / job_id, ignore_errors=True)

    def remove_others(self, job_id: str, chunks: Iterable[tuple[int, int]]) -> None:
        """Remove all files of a job but the results of some chunks.

        What was sent is removed last: while it exists, not all may be removed.

        :param chunks: number and attempt of each.
        """
        kept = {path(job_id, *each) for each in chunks for path in (self.part, self.bad)}
        source = self.source(job_id)
        others = set((self.folder / job_id).glob("*")) - kept - {source}
        for each in (*others, source):
            each.unlink(missing_ok=True)

    def remove_orphans(self, is_known: Callable[[str], bool]) -> None:
        """Remove old folders without a job."""
        oldest = time.time() - ORPHAN_SECONDS
        for each in self.folder.iterdir():
            if not JOB_ID.fullmatch(each.name):
                continue
            with suppress(OSError):
                if each.is_dir() and each.stat().st_mtime < oldest and not is_known(each.name):
                    self.remove(each.name)

    def check_room(self, size_bytes: int, jobs: Iterable[Job] = ()) -> None:
        """Check that the disk has room for more bytes.

        :param jobs: those for which room is needed too, until they are done.
        :raises InsufficientStorage: if fewer than ``free_bytes`` would be left.
        """
        size_bytes += self._needed_bytes(jobs)
        free = shutil.disk_usage(self.folder).free
        if free - size_bytes < self._free_bytes:
            raise InsufficientStorage(free, self._free_bytes, size_bytes)

    def _needed_bytes(self, jobs: Iterable[Job]) -> int:
        """Estimate the bytes that jobs still have to write until they are done."""
        return sum(max(0, COPIES * job.size_bytes - _size(self.folder / job.id)) for job in jobs)

    def save(
        self, job_id: str, pieces: Iterator[bytes], size_bytes: int, jobs: Iterable[Job]
    ) -> int:
        """Write the file that was sent, and return its size.

        :param size_bytes: the size that the client states; 0 for none.
        :param jobs: those that are unfinished.
        :raises InsufficientStorage: if the disk has no room for it, its results and other jobs.
        """
        needed = self._needed_bytes(jobs)
        self.check_room(needed + COPIES * size_bytes)
        size = 0
        with self.writing(self.source(job_id)) as path, path.open("wb") as stream:
            for piece in pieces:
                size += len(piece)
                self.check_room(needed + len(piece) + (COPIES - 1) * size)
                stream.write(piece)
                stream.flush()  # the next check must count it
        return size

    @contextmanager
    def writing(self, path: Path) -> Iterator[Path]:
        """Yield a path beside a file, to which it is written and from which it is renamed.

        :raises InsufficientStorage: if the disk is full.
        """
        new = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        try:
            yield new
            with new.open("rb") as stream:
                os.fsync(stream.fileno())
            new.replace(path)
            _sync_folder(path.parent)
        except OSError as error:
            if error.errno not in FULL:
                raise
            free = shutil.disk_usage(self.folder).free
            raise InsufficientStorage(free, self._free_bytes) from error
        finally:
            new.unlink(missing_ok=True)


def _check_content(stream: BinaryIO, form: str, schema: JsonSchema, charset: str) -> None:
    if form in tables.SHEETS and workbooks.is_workbook(stream):
        workbooks.check_workbook(stream)
        return
    content = stream.read(BEGINNING_BYTES)
    if not content:
        raise InvalidInput("the file is empty")
    is_parquet = content.startswith(tables.PARQUET_MAGIC)
    if form == tables.PARQUET and not is_parquet:
        raise UnreadableFile("not a Parquet file, which begins with PAR1")
    if form in tables.SHEETS and not is_parquet:
        _check_header(content, schema, charset)


def _check_header(content: bytes, schema: JsonSchema, charset: str) -> None:
    is_whole = len(content) < BEGINNING_BYTES
    if not is_whole:
        content = content[: content.rfind(b"\n") + 1]
        if not content.strip(b" \t\r\n,;\0"):
            return  # the header is longer, or comes later
    try:
        text, _ = encodings.open_text(io.BytesIO(content), charset)
    except UnreadableFile:
        if is_whole:
            raise
        return  # it may be cut inside a character: the process that reads all of it decides
    CsvFile(csv_lines(text)[1], schema).columns.check_required()


def _size(folder: Path) -> int:
    """Return the bytes of the files in a folder, some of which may be removed meanwhile."""
    size = 0
    with suppress(FileNotFoundError):
        for each in folder.iterdir():
            with suppress(FileNotFoundError):
                size += each.stat().st_size
    return size


def _sync_folder(folder: Path) -> None:
    """Write the names in a folder to the disk, so that they survive a crash of the machine."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
