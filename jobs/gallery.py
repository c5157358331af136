"""`interlingua gallery` as `python -m jobs.gallery`, also for `ray job submit`."""

from interlingua.commands.command_line import run_command
from interlingua.commands.using.gallery import gallery_parser, main

if __name__ == "__main__":
    run_command(main, gallery_parser().parse_args())
