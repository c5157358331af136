"""Files of torch.save are read without torch; a file that is anything else is refused."""

import io
import itertools
import os
import pickle
import random
import subprocess
import sys
import time
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
import torch

from interlingua.serving.protocols.torch_file import NotATensor, floats_of


def saved(value, **options):
    file = io.BytesIO()
    torch.save(value, file, **options)
    return file.getvalue()


def zipped(members, compression=zipfile.ZIP_STORED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(f"archive/{name}", content)
    return file.getvalue()


def members_of(content):
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}


VALUES = torch.tensor([[1.5, -2.0, 3e-8, 1e30], [0.1, -0.0, 7.0, 65504.0]])


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_the_numbers_are_those_of_torch(dtype, protocol):
    tensor = VALUES.clamp(max=60000).to(dtype)
    found = floats_of(saved(tensor, pickle_protocol=protocol))
    assert found.dtype == np.float32 and found.shape == (2, 4)
    assert np.array_equal(found, tensor.float().numpy())


def test_every_number_of_bf16_and_fp16():
    bits = torch.arange(2**16, dtype=torch.int32).to(torch.uint16)
    for dtype in (torch.bfloat16, torch.float16):
        tensor = bits.view(dtype)
        assert np.array_equal(floats_of(saved(tensor)), tensor.float().numpy(), equal_nan=True)


@pytest.mark.parametrize(
    "view",
    [
        lambda x: x[1:],
        lambda x: x[:, ::2],
        lambda x: x.T,
        lambda x: x[0],
        lambda x: x[1, 2:],
        lambda x: x.clone().requires_grad_(),
        lambda x: x[None].permute(2, 0, 1),
    ],
)
def test_views_lie_in_their_storage(view):
    tensor = view(torch.arange(12.0).reshape(3, 4))
    assert np.array_equal(floats_of(saved(tensor)), tensor.detach().numpy())


class Calls:
    """Pickled, it calls a function with arguments."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(
    "value",
    [
        {"x": VALUES},
        [VALUES],
        VALUES.double(),
        VALUES.long(),
        VALUES > 0,
        VALUES.to(torch.float8_e4m3fn),
        VALUES.to_sparse(),
        VALUES.to(torch.complex64),
        torch.zeros(0, 4),
        torch.nn.Parameter(VALUES),
        torch.nn.Linear(2, 2),
        torch.ones(1).expand(10**6, 10**6),
        OrderedDict(),
        "a text",
        None,
        3,
    ],
    ids=lambda value: type(value).__name__,
)
def test_anything_but_one_tensor_of_floats_is_refused(value):
    with pytest.raises(NotATensor):
        floats_of(saved(value))


@pytest.mark.parametrize("protocol", [2, 4])
def test_nothing_in_a_file_is_ever_called(tmp_path, protocol):
    """Beside a tensor, instead of one, and among its arguments."""
    touched = tmp_path / "touched"
    call = Calls(os.system, f"touch {touched}")
    for value in (call, [VALUES, call], {"x": call}):
        with pytest.raises(NotATensor):
            floats_of(saved(value, pickle_protocol=protocol))
    assert not touched.exists()
    with pytest.raises(NotATensor):
        floats_of(zipped({"data.pkl": pickle.dumps(call), "data/0": b"0000"}))
    assert not touched.exists()
    pickle.loads(pickle.dumps(call))  # it would have
    assert touched.exists()


KEY = b"X\x01\x00\x00\x000"
NAME = b"X\x07\x00\x00\x00storage"
STORAGE = b"(" + NAME + b"ctorch\nFloatStorage\n" + KEY + b"X\x03\x00\x00\x00cpuK\x04tQ"
REBUILD = b"ctorch._utils\n_rebuild_tensor_v2\n("
HOOKS = b"ccollections\nOrderedDict\n)R"


def program(storage=STORAGE, offset=b"K\x00", sizes=b"K\x02K\x02\x86", strides=b"K\x02K\x01\x86"):
    return b"\x80\x02" + REBUILD + storage + offset + sizes + strides + b"\x89" + HOOKS + b"tR."


DATA = np.arange(4, dtype="<f4").tobytes()


def archive(pickled, data=DATA, **others):
    return zipped({"data.pkl": pickled, "data/0": data, **others})


def test_a_file_written_by_hand_is_read():
    assert floats_of(archive(program())).tolist() == [[0, 1], [2, 3]]
    assert floats_of(archive(program(), byteorder=b"little")).shape == (2, 2)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\x03\x04",
        random.Random(0).randbytes(500),
        pickle.dumps(VALUES.numpy()),
        saved(VALUES, _use_new_zipfile_serialization=False),
        zipped({}),
        zipped({"data.pkl": b""}),
        zipped({"data.pkl": program()}),
        zipped({"data.pkl": program(), "data/0": bytes(16)}, zipfile.ZIP_DEFLATED),
        archive(program(), byteorder=b"big"),
        archive(program(), data=bytes(15)),
        archive(program(), data=bytes(12)),
        archive(program(offset=b"K\x01")),
        archive(program(offset=b"J\xff\xff\xff\xff")),
        archive(program(offset=b"\x88")),
        archive(program(offset=b"\x8a\x09" + bytes(8) + b"\x01")),
        archive(program(strides=b"K\x03K\x01\x86")),
        archive(program(strides=b"J\xff\xff\xff\xffK\x01\x86")),
        archive(program(strides=b"K\x01\x85")),
        archive(program(sizes=b"J\xff\xff\xff\x7f" * 2 + b"\x86", strides=b"K\x00K\x00\x86")),
        archive(program(sizes=b"K\x00K\x02\x86")),
        archive(program(sizes=b"(" + b"K\x01" * 40 + b"t", strides=b"(" + b"K\x01" * 40 + b"t")),
        archive(program(storage=b"N")),
        archive(program(storage=STORAGE.replace(KEY, KEY[:-1] + b"9"))),
        archive(program(storage=STORAGE.replace(b"FloatStorage", b"DoubleStorage"))),
        archive(program()[:-5]),
        archive(program()[:40]),
        archive(b"."),
        archive(b"N."),
        archive(b"t."),
        archive(b"\x86."),
        archive(b"h\x07."),
        archive(b"cos\nsystem\nX\x02\x00\x00\x00ls\x85R."),
        archive(b"cbuiltins\neval\nX\x01\x00\x00\x001\x85R."),
        archive(b"ctorch\nload\n."),
        archive(b"ccollections\nOrderedDict\n(]tR."),
        archive(b"ccollections\nOrderedDict\n)R}b."),
        archive(b"ccollections\nOrderedDict\n)\x81."),
        archive(b"\x82\x01."),
        archive(b"P0\n."),
        archive(b"(ios\nsystem\n."),
        archive(b"N" * 5000 + b"."),
    ],
    ids=itertools.count(),  # of both workers the same: keys of a file differ between processes
)  # fmt: skip
def test_broken_and_hostile_files_are_refused(content):
    with pytest.raises(NotATensor):
        floats_of(content)


@pytest.mark.parametrize(
    "pickled",
    [
        b"Nr\xff\xff\xff\xff.",  # a place of the memo that would be allocated up to
        b"\x8e\xff\xff\xff\xff\xff\xff\x00\x00.",  # more bytes than there are
        b"\x8b\xff\xff\xff\x7f.",
        b"N\x85" + b"q\x00h\x00h\x00\x86" * 400 + b"N\x93.",  # 2^400 tuples, if they were written
        b"(" * 2000 + b"t" * 2000 + b".",
    ],
    ids=itertools.count(),
)
def test_a_few_bytes_take_no_time_and_no_memory(pickled):
    begun = time.process_time()
    with pytest.raises(NotATensor):
        floats_of(archive(pickled))
    assert time.process_time() - begun < 1


def test_whatever_bits_are_flipped_it_is_refused_or_a_tensor():
    whole = members_of(saved(VALUES))
    rng = random.Random(0)
    num_read = 0
    for _ in range(1500):
        flipped = bytearray(whole["data.pkl"])
        for _ in range(rng.choice((1, 1, 2, 8))):
            flipped[rng.randrange(len(flipped))] ^= 1 << rng.randrange(8)
        try:
            num_read += floats_of(zipped({**whole, "data.pkl": bytes(flipped)})).size > 0
        except NotATensor:
            continue
    assert 0 < num_read < 750
    content = saved(VALUES)
    for _ in range(500):
        flipped = bytearray(content)
        flipped[rng.randrange(len(flipped))] ^= 1 << rng.randrange(8)
        try:
            floats_of(bytes(flipped))
        except NotATensor:
            continue


def test_no_protocol_imports_torch():
    lines = (
        "import sys, interlingua.serving.protocols.routers",
        "assert not {'torch', 'ray', 'transformers'} & sys.modules.keys()",
    )
    subprocess.run([sys.executable, "-c", "; ".join(lines)], check=True)
