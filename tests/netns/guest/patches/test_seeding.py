from __future__ import annotations

from pathlib import Path

from halfopen.netns.guest.patches.seeding import make_seedable

UTIL = """#include <stdlib.h>

ssize_t os_getrandom(void *buf, size_t len, unsigned int flags)
{
	return getrandom(buf, len, flags);
}
"""
RANDOM = """
void __init random_init_early(const char *command_line)
{
	_mix_pool_bytes(command_line, strlen(command_line));
}

void add_device_randomness(const void *buf, size_t len)
{
	mix(buf, len);
}

void add_interrupt_randomness(int irq)
{
	fast_mix(irq);
}
"""


def tree(place: Path, util: str = UTIL, random: str = RANDOM) -> Path:
    for name, text in (("arch/um/os-Linux/util.c", util), ("drivers/char/random.c", random)):
        file = place / name
        file.parent.mkdir(parents=True)
        file.write_text(text)
    return place


def texts(place: Path) -> list[str]:
    return [(place / name).read_text() for name in ("arch/um/os-Linux/util.c", "drivers/char/random.c")]


def test_randomness_is_the_seeds_alone(tmp_path: Path) -> None:
    assert make_seedable(tree(tmp_path))
    util, random = texts(tmp_path)
    assert util.endswith("{\n\treturn seeded_random(buf, len, flags);\n}\n")
    assert util.index("static ssize_t seeded_random(") < util.index("ssize_t os_getrandom(")
    assert "(const void *buf, size_t len)\n{\n\treturn;\n\tmix" in random
    assert "{\n}\n\nvoid add_device" in random
    assert "(int irq)\n{\n\treturn;\n\tfast_mix" in random


def test_a_source_that_is_not_as_it_was_known_stays_as_it_is(tmp_path: Path) -> None:
    other = UTIL.replace("getrandom(buf, len, flags)", "syscall(SYS_getrandom, buf, len, flags)")
    place = tree(tmp_path / "a", util=other)
    assert not make_seedable(place)
    assert texts(place) == [other, RANDOM]
    place = tree(tmp_path / "b", random=RANDOM.replace("int irq", "struct irq *irq"))
    assert not make_seedable(place)
    assert texts(place)[0] == UTIL
    assert not make_seedable(tmp_path / "nowhere")
