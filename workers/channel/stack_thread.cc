#include "channel/stack_thread.h"

#include <pthread.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>

#include "channel/interpreter.h"

namespace fivefold::worker {

namespace {

constexpr std::size_t kStackSize = 256 * 1024;

sigset_t question() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGRTMIN + protocol::kStackSignal);
  return set;
}

void* answer(void* interpreter) {
  const sigset_t set = question();
  for (int number = 0; sigwait(&set, &number) == 0;) static_cast<Interpreter*>(interpreter)->show_stack();
  return nullptr;
}

}  // namespace

void ignore_stack_signal() { std::signal(SIGRTMIN + protocol::kStackSignal, SIG_IGN); }

void start_stack_thread(Interpreter& interpreter) {
  // It takes no other signal: those are the main thread's.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_attr_setstacksize(&attributes, kStackSize);
  pthread_t thread{};
  const bool started = pthread_create(&thread, &attributes, answer, &interpreter) == 0;
  pthread_attr_destroy(&attributes);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (!started) return;
  const sigset_t set = question();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  std::signal(SIGRTMIN + protocol::kStackSignal, SIG_DFL);
}

}  // namespace fivefold::worker
