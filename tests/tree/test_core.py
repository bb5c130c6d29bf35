"""The core by itself: a medium is opened and walked without a command and a mount."""

import os
from contextlib import closing

from dicomfs.fileset.dicomdirs import open_file_sets
from dicomfs.media.folder import FolderMedium
from dicomfs.tree.node import Node
from dicomfs.tree.tree import Tree
from tests.support.trees import SAMPLES


def test_all_instances_of_the_sample_medium_are_read_by_the_core_alone() -> None:
    read: list[bytes] = []
    medium = FolderMedium(os.open(SAMPLES, os.O_RDONLY | os.O_DIRECTORY))
    tree = Tree(open_file_sets(medium), read_headers=True)
    waiting: list[Node] = [tree.root]
    for node in waiting:
        if node.is_folder:
            waiting += node.children().values()
        else:
            with closing(node.open()) as source:
                read.append(bytes(source.read_at(0, node.size)))
    medium.close()

    assert len(read) == 31
    assert all(data[128:132] == b"DICM" for data in read)
