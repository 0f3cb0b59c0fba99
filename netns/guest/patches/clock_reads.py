"""Lets a guest's programs read the clock without a system call, by changes to the kernel's source.

User-Mode Linux answers clock_gettime(2) by a system call, which costs a guest two changes of process. Python 3.11 reads
the clock each time that it takes a lock, so three of four system calls in a lab were such readings. With these changes
the kernel writes the time into the page that it shares with each process (struct stub_data) before the process runs on,
and the vDSO reads it there. Each reading still takes 256 ns of virtual time, as in timer_read (arch/um/kernel/time.c):
the vDSO counts them, and the kernel lets their time pass when the process is back. Nobody reads past the next event,
nor more than 64 times before a system call is made after all. On a real clock each reading is a system call.

The sources before 7 are laid out in another way and stay as they are.
"""

from __future__ import annotations

from pathlib import Path

from halfopen.netns.guest.source_edits import Edit, apply

_STUB_DATA = "arch/um/include/shared/skas/stub-data.h"
_TIME = "arch/um/kernel/time.c"
_PROCESS = "arch/um/os-Linux/skas/process.c"
_VMA = "arch/x86/um/vdso/vma.c"
_VDSO = "arch/x86/um/vdso/um_vdso.c"

_CLOCK = """\
struct um_clock {
	/* CLOCK_REALTIME and CLOCK_MONOTONIC */
	unsigned long long ns[2];
	/* how often the process has read it since, and may before it has to ask */
	unsigned int reads, most;
};

void um_clock_publish(struct um_clock *clock);
void um_clock_account(struct um_clock *clock);

"""

_FUNCTIONS = """\
#define UM_CLOCK_MOST 64U

void um_clock_publish(struct um_clock *clock)
{
	struct time_travel_event *e;
	unsigned long flags;

	clock->reads = clock->most = 0;
	if (time_travel_mode != TT_MODE_INFCPU)
		return;
	/* so that timer_read() takes no time */
	local_irq_save(flags);
	clock->ns[CLOCK_REALTIME] = ktime_get_real_ns();
	clock->ns[CLOCK_MONOTONIC] = ktime_get_ns();
	clock->most = UM_CLOCK_MOST;
	e = time_travel_first_event();
	if (e && e->time < time_travel_time + UM_CLOCK_MOST * TIMER_MULTIPLIER)
		clock->most = e->time > time_travel_time ? (e->time - time_travel_time) / TIMER_MULTIPLIER : 0;
	local_irq_restore(flags);
}

void um_clock_account(struct um_clock *clock)
{
	unsigned int reads = min(clock->reads, UM_CLOCK_MOST);

	clock->reads = clock->most = 0;
	if (reads)
		time_travel_update_time_rel(reads * TIMER_MULTIPLIER);
}

"""

_FAST = """\
struct um_clock {
	unsigned long long ns[2];
	unsigned int reads, most;
};

int __vdso_clock_gettime(clockid_t clock, struct __kernel_timespec *ts)
{
	volatile struct um_clock *um_clock;
	unsigned long here;
	long ret;

	/* the end of the vDSO's one page says where the clock is (init_vdso) */
	asm("lea 0(%%rip), %0" : "=r" (here));
	um_clock = *(struct um_clock **)((here | 4095) - 7);
	if ((unsigned int)clock < 2 && um_clock && um_clock->reads < um_clock->most) {
		unsigned long long ns = um_clock->ns[clock] + 256ULL * ++um_clock->reads;

		ts->tv_sec = ns / 1000000000;
		ts->tv_nsec = ns % 1000000000;
		return 0;
	}

"""

EDITS = (
    Edit(
        _STUB_DATA,
        "struct stub_data {\n\tlong err;\n",
        _CLOCK + "struct stub_data {\n\tlong err;\n\tstruct um_clock clock;\n",
    ),
    Edit(_TIME, "#include <shared/init.h>\n", "#include <shared/init.h>\n#include <stub-data.h>\n"),
    Edit(
        _TIME,
        "static struct clocksource timer_clocksource = {\n",
        _FUNCTIONS + "static struct clocksource timer_clocksource = {\n",
    ),
    Edit(
        _PROCESS,
        "\t\tcurrent_mm_sync();\n\n",
        "\t\tcurrent_mm_sync();\n\t\tum_clock_publish(&((struct stub_data *)mm_id->stack)->clock);\n\n",
    ),
    Edit(
        _PROCESS,
        "\t\texit_turnstile(mm_id);\n\n\t\tUPT_SYSCALL_NR(regs) = -1;",
        "\t\texit_turnstile(mm_id);\n"
        "\t\tum_clock_account(&((struct stub_data *)mm_id->stack)->clock);\n\n"
        "\t\tUPT_SYSCALL_NR(regs) = -1;",
    ),
    Edit(
        _VMA, "#include <linux/init.h>\n", "#include <linux/init.h>\n#include <as-layout.h>\n#include <stub-data.h>\n"
    ),
    Edit(
        _VMA,
        "\tcopy_page(page_address(um_vdso), vdso_start);\n",
        "\tcopy_page(page_address(um_vdso), vdso_start);\n"
        "\tBUG_ON(vdso_end - vdso_start > PAGE_SIZE - sizeof(unsigned long));\n"
        "\t*(unsigned long *)(page_address(um_vdso) + PAGE_SIZE - sizeof(unsigned long)) =\n"
        "\t\tSTUB_DATA + offsetof(struct stub_data, clock);\n",
    ),
    Edit(
        _VDSO,
        "int __vdso_clock_gettime(clockid_t clock, struct __kernel_timespec *ts)\n{\n\tlong ret;\n\n",
        _FAST,
    ),
)


def read_without_calls(tree: Path) -> bool:
    """Change the kernel source in ``tree``; False, and nothing is changed, if it is not as it was known to be."""
    return apply(EDITS, tree)
