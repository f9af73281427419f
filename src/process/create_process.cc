#include "process/create_process.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

// The child shares this process's memory, so no code of it may be instrumented (its frames are never left) nor use
// libc's state.
#define FIVEFOLD_IN_CHILD __attribute__((no_sanitize("address", "undefined"), no_stack_protector))

namespace fivefold::process {
namespace {

// A system call without libc: the result, or -errno.
FIVEFOLD_IN_CHILD inline long call(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0) {
#if defined(__x86_64__)
  long result = number;
  register long r10 asm("r10") = d;
  register long r8 asm("r8") = e;
  asm volatile("syscall" : "+a"(result) : "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8) : "rcx", "r11", "memory");
  return result;
#elif defined(__aarch64__)
  register long x8 asm("x8") = number;
  register long x0 asm("x0") = a;
  register long x1 asm("x1") = b;
  register long x2 asm("x2") = c;
  register long x3 asm("x3") = d;
  register long x4 asm("x4") = e;
  asm volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4) : "memory");
  return x0;
#else
  const long result = ::syscall(number, a, b, c, d, e);
  return result < 0 ? -errno : result;
#endif
}

[[noreturn]] FIVEFOLD_IN_CHILD void give_up(Launch* launch, SpawnStep step, long result) {
  launch->failed_step = step;
  launch->error = static_cast<int>(-result);
  while (true) call(SYS_exit_group, 127);
}

template <class T>
FIVEFOLD_IN_CHILD inline long address(T* pointer) {
  return reinterpret_cast<long>(pointer);
}

// "123" and a NUL. Volatile, so that no call of memset or the like comes of it.
FIVEFOLD_IN_CHILD inline void write_decimal(volatile char* out, unsigned long number) {
  unsigned long power = 1;
  while (number / power >= 10) power *= 10;
  for (; power != 0; power /= 10) *out++ = static_cast<char>('0' + number / power % 10);
  *out = '\0';
}

// Descriptors 3 and on. Those that lie where others belong are moved out of the way first.
FIVEFOLD_IN_CHILD inline long place_extra(Launch* launch) {
  const long end = 3 + static_cast<long>(launch->extra_count);
  for (std::size_t i = 0; i < launch->extra_count; ++i) {
    if (launch->extra[i] >= end) continue;
    const long moved = call(SYS_fcntl, launch->extra[i], F_DUPFD, end);
    if (moved < 0) return moved;
    launch->extra[i] = static_cast<int>(moved);
  }
  for (std::size_t i = 0; i < launch->extra_count; ++i) {
    const long placed = call(SYS_dup3, launch->extra[i], 3 + static_cast<long>(i), 0);
    if (placed < 0) return placed;
  }
  return end;
}

// The new process's first and only function.
FIVEFOLD_IN_CHILD int child_main(void* context) {
  auto* const launch = static_cast<Launch*>(context);
  long result = 0;
  if (launch->reset_handlers) {
    char default_action[64];
    for (char& byte : default_action) *const_cast<volatile char*>(&byte) = 0;
    for (long number = 1; number <= 64; ++number)
      if (number != SIGKILL && number != SIGSTOP) call(SYS_rt_sigaction, number, address(&default_action[0]), 0, 8);
  }
  result = call(SYS_setsid);
  if (result < 0) give_up(launch, SpawnStep::session, result);
  for (long stream = 0; stream < 3; ++stream) {
    result = call(SYS_dup3, launch->streams[stream], stream, 0);
    if (result < 0) give_up(launch, SpawnStep::streams, result);
  }
  const long free = place_extra(launch);
  if (free < 0) give_up(launch, SpawnStep::streams, free);
  // All descriptors of the helper are close-on-exec already; this holds even where one is not.
  result = call(SYS_close_range, free, ~0U, 0);
  if (result < 0 && result != -ENOSYS) give_up(launch, SpawnStep::streams, result);
  for (std::size_t i = 0; i < launch->limit_count; ++i) {
    result = call(SYS_prlimit64, 0, launch->limits[i].resource, address(&launch->limits[i].value), 0);
    if (result < 0) give_up(launch, SpawnStep::limits, result);
  }
  if (launch->switch_user) {
    // To the kernel, -1 is "leave it as it is".
    if (launch->gid == static_cast<gid_t>(-1)) give_up(launch, SpawnStep::group, -EINVAL);
    if (launch->uid == static_cast<uid_t>(-1)) give_up(launch, SpawnStep::user, -EINVAL);
    // Every result counts: running on as root because one of these failed is CVE-2013-4559.
    result = call(SYS_setgroups, static_cast<long>(launch->group_count), address(launch->groups));
    if (result < 0) give_up(launch, SpawnStep::supplementary_groups, result);
    result = call(SYS_setresgid, launch->gid, launch->gid, launch->gid);
    if (result < 0) give_up(launch, SpawnStep::group, result);
    result = call(SYS_setresuid, launch->uid, launch->uid, launch->uid);
    if (result < 0) give_up(launch, SpawnStep::user, result);
  }
  // Changing user clears it, so after that. The helper may have died before it was set.
  result = call(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL);
  if (result < 0) give_up(launch, SpawnStep::parent, result);
  if (call(SYS_getppid) != launch->parent) give_up(launch, SpawnStep::parent, -ESRCH);
  result = call(SYS_chdir, address(launch->directory));
  if (result < 0) give_up(launch, SpawnStep::directory, result);
  call(SYS_umask, launch->umask);
  if (launch->own_pid) write_decimal(launch->own_pid, static_cast<unsigned long>(call(SYS_getpid)));
  const unsigned long no_signals = 0;
  result = call(SYS_rt_sigprocmask, SIG_SETMASK, address(&no_signals), 0, 8);
  if (result < 0) give_up(launch, SpawnStep::signals, result);
  result = call(SYS_execve, address(launch->executable), address(launch->argv), address(launch->envp));
  give_up(launch, SpawnStep::execute, result);
}

// clone3 with a stack of its own, on which the child calls child_main; -errno where it failed.
long clone3_onto_stack([[maybe_unused]] clone_args* arguments, [[maybe_unused]] Launch* launch) {
#if defined(__x86_64__)
  long result = SYS_clone3;
  register int (*function)(void*) asm("r8") = child_main;
  register void* context asm("r9") = launch;
  asm volatile(
      "syscall\n\t"
      "testq %%rax, %%rax\n\t"
      "jnz 1f\n\t"
      "xorl %%ebp, %%ebp\n\t"
      "movq %%r9, %%rdi\n\t"
      "callq *%%r8\n\t"
      "ud2\n"
      "1:"
      : "+a"(result)
      : "D"(arguments), "S"(sizeof *arguments), "r"(function), "r"(context)
      : "rcx", "r11", "memory", "cc");
  return result;
#elif defined(__aarch64__)
  register long x8 asm("x8") = SYS_clone3;
  register long x0 asm("x0") = reinterpret_cast<long>(arguments);
  register long x1 asm("x1") = sizeof *arguments;
  register int (*x2)(void*) asm("x2") = child_main;
  register void* x3 asm("x3") = launch;
  asm volatile(
      "svc 0\n\t"
      "cbnz x0, 1f\n\t"
      "mov x29, xzr\n\t"
      "mov x0, x3\n\t"
      "blr x2\n\t"
      "brk 1\n"
      "1:"
      : "+r"(x0)
      : "r"(x8), "r"(x1), "r"(x2), "r"(x3)
      : "memory", "cc");
  return x0;
#else
  return -ENOSYS;
#endif
}

}  // namespace

ProcessCreator::ProcessCreator() {
  void* const memory = ::mmap(nullptr, kGuardSize + kStackSize, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return;
  stack_ = static_cast<char*>(memory);
  ::mprotect(stack_, kGuardSize, PROT_NONE);
}

ProcessCreator::~ProcessCreator() {
  if (stack_) ::munmap(stack_, kGuardSize + kStackSize);
}

pid_t ProcessCreator::create(Launch& launch, UniqueFd& pidfd) {
  launch.failed_step = SpawnStep::none;
  launch.error = 0;
  if (!stack_) {
    launch.failed_step = SpawnStep::create;
    launch.error = ENOMEM;
    return -1;
  }
  int descriptor = -1;
  long pid = -ENOSYS;
  if (use_clone3_) {
    clone_args arguments{};
    arguments.flags = CLONE_VM | CLONE_VFORK | CLONE_PIDFD | CLONE_CLEAR_SIGHAND;
    arguments.pidfd = reinterpret_cast<std::uintptr_t>(&descriptor);
    arguments.exit_signal = SIGCHLD;
    arguments.stack = reinterpret_cast<std::uintptr_t>(stack_ + kGuardSize);
    arguments.stack_size = kStackSize;
    if (launch.cgroup >= 0) {
      arguments.flags |= CLONE_INTO_CGROUP;
      arguments.cgroup = static_cast<std::uint64_t>(launch.cgroup);
    }
    launch.reset_handlers = false;
    pid = clone3_onto_stack(&arguments, &launch);
    // A container's system-call filter answers one of these to a call that it does not know.
    if (pid == -ENOSYS || (pid == -EPERM && launch.cgroup < 0)) use_clone3_ = false;
  }
  if (!use_clone3_) {
    launch.reset_handlers = true;
    pid = ::clone(child_main, stack_ + kGuardSize + kStackSize, CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, &launch,
                  &descriptor);
    if (pid < 0) pid = -errno;
  }
  // The child has written its results into this memory; the compiler does not know.
  asm volatile("" ::: "memory");
  if (pid < 0) {
    launch.failed_step = SpawnStep::create;
    launch.error = static_cast<int>(-pid);
    return -1;
  }
  pidfd.reset(descriptor);
  if (launch.failed_step != SpawnStep::none) {
    while (::waitpid(static_cast<pid_t>(pid), nullptr, 0) < 0 && errno == EINTR) {
    }
    pidfd.reset();
    return -1;
  }
  return static_cast<pid_t>(pid);
}

std::vector<ResourceLimit> resource_limits(const Identity& identity, bool in_cgroup) {
  std::vector<ResourceLimit> limits;
  const auto add = [&limits](int resource, std::uint64_t value) {
    if (value == 0) return;
    // An unprivileged helper cannot raise a hard limit; what it already has is then the nearest that can be had.
    rlimit now{};
    rlim_t wanted = value;
    if (::geteuid() != 0 && ::getrlimit(static_cast<__rlimit_resource>(resource), &now) == 0)
      wanted = std::min(wanted, now.rlim_max);
    limits.push_back({resource, {wanted, wanted}});
  };
  if (!in_cgroup) {
    add(RLIMIT_DATA, identity.memory);
    add(RLIMIT_NPROC, identity.processes);
  }
  add(RLIMIT_CPU, identity.cpu_seconds);
  add(RLIMIT_NOFILE, identity.files);
  add(RLIMIT_FSIZE, identity.file_size);
  add(RLIMIT_CORE, identity.core);
  return limits;
}

}  // namespace fivefold::process
