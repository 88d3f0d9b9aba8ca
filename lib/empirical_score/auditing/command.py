"""The command ``empirical-score``: an audit of files, with a report.

    empirical-score audit --train train.npy --generated samples.npy \\
        --holdout test.npy --out report/

Exit status: 0 no copying found, 1 copying found, 2 error, 3 undetermined.
"""

import argparse
import sys
import traceback

from . import procedure
from .files import Output, read

__all__ = ["main"]

NONE, COPYING, ERROR, UNDETERMINED = range(4)
FILES = ("index.html", "audit.json")
FORMATS = """\
files (several after one option are joined):
  samples.npy           an array (n, d) or (n, rows, columns, ...); never a pickle
  samples.npz           one array; samples.npz:NAME if it holds several
  train-images-idx3-ubyte.gz   IDX, compressed or not
  data_batch_1.bin      CIFAR-10
  folder/               images of one size, all grey or all colored, by name

Bytes 0 to 255 become numbers in [-1, 1]; other numbers stay as they are. All sets must
be on one scale.

exit status: 0 no copying found, 1 copying found, 2 error, 3 undetermined
"""


def main(arguments=None):
    """Run the command line; return the exit status."""
    options = _parser().parse_args(arguments)
    try:
        return _audit(options)
    except (OSError, ValueError, TypeError, ImportError, MemoryError) as error:
        message = str(error) or type(error).__name__
    except Exception as error:  # not foreseen, but status 1 would mean copying
        traceback.print_exc()
        files = " ".join(path for name in SETS for path in getattr(options, name) or ())
        message = f"the audit of {files} failed: {type(error).__name__}: {error}"
    print(f"empirical-score: {message}", file=sys.stderr)
    return ERROR


def _audit(options):
    output = Output(options.out, FILES, force=options.force)
    try:
        sets = {name: getattr(options, name) for name in SETS}
        sets = {name: paths for name, paths in sets.items() if paths}
        arrays = {name: _named(name, paths) for name, paths in sets.items()}
        shape = options.shape or None
        features = options.features and tuple(
            _named("features", [path]) for path in options.features
        )
        with _progress(options.quiet) as progress:
            found = procedure.audit(
                **arrays,
                features=features,
                neighbors=options.neighbors,
                threshold=options.threshold,
                tolerance=options.tolerance,
                flips=options.flips,
                shape=shape,
                level=options.level,
                confidence=options.confidence,
                false_discoveries=options.false_discoveries,
                permutations=options.permutations,
                seed=options.seed,
                memory=options.memory * 2**20,
                progress=progress,
            )
        from . import report

        inputs = {f"{name} files": " ".join(paths) for name, paths in sets.items()}
        page = report.to_html(
            found,
            arrays["train"],
            arrays["generated"],
            shape=options.shape,
            count=options.show,
            inputs=inputs,
        )
        output.write({"index.html": page, "audit.json": report.to_json(found, inputs)})
    finally:
        output.discard()
    print(found)
    print(f"\nreport: {output.folder / FILES[0]}")
    return {False: NONE, True: COPYING}.get(found.copying, UNDETERMINED)


SETS = ("train", "generated", "holdout")


def _named(name, paths):
    try:
        return read(paths)
    except (ValueError, MemoryError) as error:
        raise ValueError(f"--{name}: {error}") from error


class _progress:
    """A bar on stderr, if tqdm is there and the bar is wanted; else nothing."""

    def __init__(self, quiet):
        self.bar = None
        if not quiet:
            try:
                from tqdm import tqdm
            except ImportError:
                return
            form = "{desc} {percentage:3.0f}% |{bar}| {elapsed}<{remaining}"
            self.bar = tqdm(
                total=1.0, desc="distances", bar_format=form, file=sys.stderr
            )

    def __enter__(self):
        return None if self.bar is None else self._step

    def _step(self, share):
        self.bar.update(min(share, self.bar.total - self.bar.n))

    def __exit__(self, *_):
        if self.bar is not None:
            self.bar.close()


def _shape(text):
    if text == "none":
        return False
    try:
        sizes = tuple(int(size) for size in text.lower().split("x"))
    except ValueError:
        sizes = ()
    if len(sizes) not in (2, 3) or min(sizes) < 1:
        raise argparse.ArgumentTypeError(
            f"expected ROWSxCOLUMNS, ROWSxCOLUMNSxCHANNELS or none, got {text!r}"
        )
    return sizes


def _count(text):
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected a whole number, got {text!r}")
    return int(text)


def _parser():
    parser = argparse.ArgumentParser(
        prog="empirical-score", description="Does a generator copy its training set?"
    )
    commands = parser.add_subparsers(dest="command", required=True)
    audit = commands.add_parser(
        "audit",
        help="test generated samples for copies of training data",
        description=(
            "Test whether generated samples are copies of training data, measured "
            "against held-out data, and write a report (index.html and audit.json)."
        ),
        epilog=FORMATS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = audit.add_argument
    add("--train", nargs="+", required=True, metavar="FILE", help="training data")
    add("--generated", nargs="+", required=True, metavar="FILE", help="the samples")
    add(
        "--holdout",
        nargs="+",
        metavar="FILE",
        help="real data that the generator has not seen (default: a fifth of train)",
    )
    add("--out", required=True, metavar="FOLDER", help="where the report goes")
    add("--force", action="store_true", help="replace a report that is there")
    add(
        "--shape",
        type=_shape,
        metavar="28x28",
        help="shape of one image, or none (default: as stored, or the square it fits)",
    )
    add("--flips", action="store_true", help="count mirror images as copies, too")
    add(
        "--features",
        nargs="+",
        metavar="FILE",
        help="measure distances in these: one array for each set, in order train, "
        "generated, holdout",
    )
    numbers = audit.add_argument_group("settings")
    add = numbers.add_argument
    add("--neighbors", type=int, default=5, metavar="K", help="default %(default)s")
    add("--threshold", type=float, default=1 / 3, help="of the ratio, default 1/3")
    add(
        "--tolerance",
        type=float,
        help="distance of near-duplicates (default: a third of the median spacing)",
    )
    add("--level", type=float, default=0.01, help="default %(default)s")
    add("--confidence", type=float, default=0.95, help="default %(default)s")
    add("--false-discoveries", type=float, default=0.1, help="default %(default)s")
    add("--permutations", type=int, default=9999, help="default %(default)s")
    add("--seed", type=int, default=0, help="default %(default)s")
    add("--memory", type=int, default=256, metavar="MIB", help="default %(default)s")
    add("--show", type=_count, default=24, metavar="N", help="pairs in the report")
    add("--quiet", action="store_true", help="no progress bar")
    return parser
