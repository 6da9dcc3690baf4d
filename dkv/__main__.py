"""``python -m dkv`` and the command ``dkv``."""

from dkv.cli import program


def main() -> None:
    """Run the command line; the exit code is the command's."""
    program(prog_name="dkv")


if __name__ == "__main__":
    main()
