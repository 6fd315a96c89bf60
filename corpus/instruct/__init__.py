"""Instruction items from findings: descriptions, choices, yes/no and conversations, by rules or by a teacher."""

from corpus.instruct.check import check_item, check_item_against_truth
from corpus.instruct.contrasts import Contrast, find_contrasts
from corpus.instruct.make import TASKS, make_items
from corpus.instruct.record import Item, Material, Turn, read_items, write_items
from corpus.instruct.teacher import TeachResult, teach_items
