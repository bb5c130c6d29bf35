"""Random media, and what has to be seen of them: see ``scripts/random-media --help``.

    text, people, world   what there is: people, studies, series and files, by chance
    disc                  how one disc lists a share of them, and the truth about that
    truth                 what all discs together have to show, by the rules of the manual
    source                a disc as a folder, an image or an archive
    judge                 what the tree shows, held against the truth
    torn                  the same with wrong links, and what must hold of it all the same
    run                   media by number, made and judged

The truth knows nothing of the code under test: it is what was meant when a medium was
made. Only the judge asks the tree, for IDs, UIDs and bytes.
"""
