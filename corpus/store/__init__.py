"""The corpus on disk: Parquet shards and a manifest, written once and read in any order."""

from corpus.store.assemble import BuildInfo, assemble
from corpus.store.codec import decode, encode
from corpus.store.read import CorpusReader, Record, read_candidates, read_manifest, verify
from corpus.store.schema import SCHEMA_VERSION, Origin, Row, Text, row_of, segment_id
from corpus.store.write import atomic, write_part
