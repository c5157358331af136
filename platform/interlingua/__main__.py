"""`python -m interlingua VERB ...`, where its command is not on the path."""

from interlingua.commands.entry import main

if __name__ == "__main__":
    main()
