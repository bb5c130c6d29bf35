"""What dicomfs says and shows, written down, so that two commits can be compared.

    __main__ ──> media ──> medium              media of all kinds, made once and kept
       │                     │
       ├──> run ─────────────┤                 every command on every medium
       │     ├──> mounted ───┤                 some of them mounted, and looked at
       │     │     └──> look                   a program of its own: it may hang there
       │     ├──> refusals   │                 what is not done, and what is said then
       │     └──> command ───┴──> entries      one command, and what came of it
       └──> compare                            what differs

The product is known here by its command line alone: whatever is moved within it, a
recording made before can be compared with one made after. Only ``media`` knows the
builders of the tests, and those know the product.
"""
