"""Compiled loops as C functions that a team of threads runs, without Python in between.

:func:`body` turns a loop and the types of its arguments into ``void body(int64_t *table)``, which
``GOMP_parallel`` of :mod:`..engine` calls on every thread. It takes the next part of the rows until
none is left; the counter is in the table, and so is all that the loop is given::

    table[0]        the next part, counted up by whoever takes it
    table[1]        how many parts there are
    table[2:]       a number an argument, or an array's address and shape
    table[-parts:]  1 for each part that is done

An interpreter in the body would have each thread wait for its lock, at a tenth of a millisecond a
call: as much as many of these loops take.
"""

import hashlib

import numba
import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic


@intrinsic
def pointer(typing_context, address):
    """The address as an untyped pointer."""

    def codegen(context, builder, signature, arguments):
        return builder.inttoptr(arguments[0], ir.IntType(8).as_pointer())

    return types.voidptr(types.int64), codegen


@intrinsic
def number_of(typing_context, address):
    """A pointer as a number."""

    def codegen(context, builder, signature, arguments):
        return builder.ptrtoint(arguments[0], ir.IntType(64))

    return types.int64(types.CPointer(types.int64)), codegen


@intrinsic
def take_next(typing_context, counter):
    """What a counter in memory was, before it is counted up by one, whoever else does so."""

    def codegen(context, builder, signature, arguments):
        one = ir.Constant(ir.IntType(64), 1)
        return builder.atomic_rmw("add", arguments[0], one, "monotonic")

    return types.int64(types.CPointer(types.int64)), codegen


NUMBER, TUPLE = -1, -2
"""In place of an array's dimensions."""


def kind_of(argument):
    """What a body must know of an argument: its type, and an array's dimensions or a tuple's kinds.

    None for an array that is not one block of memory, or a tuple with one.
    """
    if isinstance(argument, np.ndarray):
        return (argument.dtype.str, argument.ndim) if argument.flags.c_contiguous else None
    if isinstance(argument, tuple):
        kinds = tuple(map(kind_of, argument))
        return None if None in kinds else (kinds, TUPLE)
    return (np.asarray(argument).dtype.str, NUMBER)


def numbers_of(argument):
    """The numbers of an argument in the table."""
    if isinstance(argument, np.ndarray):
        return [argument.__array_interface__["data"][0], *argument.shape]
    if isinstance(argument, tuple):
        return [number for each in argument for number in numbers_of(each)]
    if isinstance(argument, (float, np.floating)):
        return [int(np.float64(argument).view(np.int64))]
    return [int(argument)]


def table(arguments, parts):
    """What the module's text says, of some arguments whose rows are to be split into parts."""
    return np.array([0, parts, *numbers_of(tuple(arguments)), *parts * [0]], dtype=np.int64)


def _value(kind, place):
    """The expression of an argument whose numbers begin at ``place``, and where they end."""
    type_name, dimensions = kind
    if dimensions == TUPLE:
        values = []
        for each in type_name:
            value, place = _value(each, place)
            values.append(value)
        return f"({', '.join(values)},)", place
    if dimensions == NUMBER:
        is_float = np.dtype(type_name).kind == "f"
        at_place = f"carray(pointer(address + {8 * place}), (1,), f8)[0]"
        return f"{_name(type_name)}({at_place if is_float else f't[{place}]'})", place + 1
    shape = ", ".join(f"t[{place + 1 + d}]" for d in range(dimensions))
    return f"carray(pointer(t[{place}]), ({shape},), {_name(type_name)})", place + 1 + dimensions


def _name(type_name):
    """The type's name in the source."""
    return f"type_{type_name[1:]}"


def _text(name, kinds, row_num):
    """The body's source; the last ``row_num`` arguments are split."""
    lines, place = [], 2
    for number, kind in enumerate(kinds):
        value, place = _value(kind, place)
        lines.append(f"a{number} = {value}")
    names = [f"a{number}" for number in range(len(kinds))]
    split = [f"{value}[first:end]" for value in names[-row_num:]]
    head = "\n    ".join(lines)
    return f"""def {name}(data):
    t = carray(data, ({place},))
    address = number_of(data)
    parts = t[1]
    {head}
    rows = len({names[-1]})
    step = (rows + parts - 1) // parts
    done = carray(pointer(address + {8 * place}), (parts,), i8)
    while True:
        part = take_next(data)
        if part >= parts:
            break
        first, end = min(part * step, rows), min((part + 1) * step, rows)
        loop({", ".join([*names[:-row_num], *split])})
        done[part] = 1
"""


def _types(kinds):
    """Types by the names that :func:`_value` gives them."""
    found = {}
    for inner, dimensions in kinds:
        found |= _types(inner) if dimensions == TUPLE else {_name(inner): np.dtype(inner).type}
    return found


def body(loop, kinds, row_num):
    """The C function's address, compiled or from the cache on disk.

    The cache tells functions apart by their name and code but not by the constants in it, hence the
    digest in the name; it takes the file that it lies beside, and looks at for changes, from the
    code's file name, hence the loop's.
    """
    text = _text("NAME", kinds, row_num)
    digest = hashlib.sha256(repr((text, kinds)).encode()).hexdigest()[:16]
    name = f"{loop.py_func.__name__}_{digest}"
    scope = {
        "loop": loop,
        "carray": numba.carray,
        "pointer": pointer,
        "number_of": number_of,
        "take_next": take_next,
        "i8": np.int64,
        "f8": np.float64,
        **_types(kinds),
        "__name__": loop.py_func.__module__,
    }
    file = loop.py_func.__code__.co_filename
    exec(compile(text.replace("NAME", name), file, "exec"), scope)
    signature = types.void(types.CPointer(types.int64))
    return numba.cfunc(signature, cache=True)(scope[name])
