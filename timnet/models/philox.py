"""The random numbers of the dropout: Philox 4x32-10 (Salmon et al., 2011), the same on every backend of Keras.

A counter and a key give four numbers, so each number of a stream can be made alone and nothing has to be kept. The
streams are those of TensorFlow's `stateless_uniform(alg="philox")` where XLA compiles it: what is trained in lockstep,
or on another backend, drops the channels that separate training drops.
"""

from typing import Any

ROUNDS = 10
_MULTIPLIERS = 0xD2511F53, 0xCD9E8D57
_WEYL = 0x9E3779B9, 0xBB67AE85
_SEED_KEY = 0x3EC8F720, 0x02461E29  # TensorFlow's, with which it scrambles a seed into a key and a counter
_LOW = 0xFFFF
FRACTION_BITS = 23  # of a float32


def uniform(seed: Any, position: Any) -> Any:
    """Numbers 4 * position to 4 * position + 3 of the stream of a seed: float32 in [0, 1), in a new last axis.

    `seed`: int32 (…, 2). `position`: uint32, of the shape of the seed without its last axis and any axes more.
    """
    from keras import ops

    key, high = _key(seed)
    more = (1,) * (len(position.shape) - len(key[0].shape))
    wide = [ops.reshape(one, (*one.shape, *more)) for one in (*key, *high)]
    zero = ops.zeros_like(position)
    drawn = ops.stack(_philox([position, zero, wide[2] + zero, wide[3] + zero], wide[:2]), axis=-1)
    return ops.cast(_right(drawn, 32 - FRACTION_BITS), "float32") * 2.0**-FRACTION_BITS


def _key(seed: Any) -> tuple[list[Any], list[Any]]:
    """Key and upper half of the counter that TensorFlow makes of a seed of two int32, widened to 64 bits with their sign."""
    from keras import ops

    words = []
    for i in (0, 1):
        words += [ops.cast(seed[..., i], "uint32"), ops.cast(ops.where(seed[..., i] < 0, -1, 0), "uint32")]
    scrambled = _philox(words, [ops.zeros_like(words[0]) + _number(one) for one in _SEED_KEY])
    return scrambled[:2], scrambled[2:]


def _philox(counter: list[Any], key: list[Any]) -> list[Any]:
    from keras import ops

    def one_round(_: Any, state: Any) -> Any:
        counter, key = state[:4], state[4:]
        high, low = zip(*map(_product, counter[::2], _MULTIPLIERS), strict=True)
        counter = [high[1] ^ counter[1] ^ key[0], low[1], high[0] ^ counter[3] ^ key[1], low[0]]
        return (*counter, *(one + _number(step) for one, step in zip(key, _WEYL, strict=True)))

    # A loop, since XLA takes minutes to compile the rounds one after the other: each uses the last one's words twice.
    return list(ops.fori_loop(0, ROUNDS, one_round, (*counter, *key)))[:4]


def _product(a: Any, b: int) -> tuple[Any, Any]:
    """Both words of a product of two uint32, out of products of halves, as not every backend has 64 bits."""
    upper, lower = _right(a, 16), a & _number(_LOW)
    b_upper, b_lower = _number(b >> 16), _number(b & _LOW)
    middle = upper * b_lower + _right(lower * b_lower, 16)
    other = lower * b_upper + (middle & _number(_LOW))
    return upper * b_upper + _right(middle, 16) + _right(other, 16), a * _number(b)


def _right(a: Any, bits: int) -> Any:
    from keras import ops

    return ops.right_shift(a, _number(bits))


def _number(value: int) -> Any:
    from keras import ops

    return ops.convert_to_tensor(value, dtype="uint32")
