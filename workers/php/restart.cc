#include "php/restart.h"

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <ctime>
#include <string_view>
#include <utility>

#include "php/engine.h"

namespace fivefold::worker::php {

namespace {

constexpr std::size_t kMostWorkers =
    1024;  // that can be woken while they wait; others learn it with their next request

struct Shared {
  std::atomic<unsigned> restarts;
  std::atomic<pid_t> looping[kMostWorkers];
};
Shared* shared = nullptr;
unsigned seen = 0;
time_t looked = 0;
bool after_restart = false;  // the script may have been started too early to have opcache
int wake_signal() { return SIGRTMIN + 5; }

void (*reset_of_opcache)(INTERNAL_FUNCTION_PARAMETERS) = nullptr;

void tell_all() {
  if (shared == nullptr) return;
  ++shared->restarts;
  for (const std::atomic<pid_t>& worker : shared->looping) {
    const pid_t pid = worker.load();
    if (pid > 0 && pid != getpid()) kill(pid, wake_signal());
  }
}

ZEND_FUNCTION(reset_and_tell) {
  reset_of_opcache(INTERNAL_FUNCTION_PARAM_PASSTHRU);
  if (Z_TYPE_P(return_value) == IS_TRUE) tell_all();
}

enum class Opcache { on, off, waits };

// What opcache_get_status(false) says: also a full memory makes a restart wait. `off` is for this script, which was
// started while a restart waited.
Opcache look_at_opcache() {
  auto* function = static_cast<zend_function*>(
      zend_hash_str_find_ptr(CG(function_table), "opcache_get_status", sizeof "opcache_get_status" - 1));
  if (function == nullptr) return Opcache::on;
  zval status;
  zval scripts;
  ZVAL_UNDEF(&status);
  ZVAL_FALSE(&scripts);
  zend_call_known_function(function, nullptr, nullptr, &status, 1, &scripts, nullptr);
  const auto says = [&status](std::string_view name) {
    const zval* value = zend_hash_str_find(Z_ARRVAL(status), name.data(), name.size());
    return value != nullptr && Z_TYPE_P(value) == IS_TRUE;
  };
  Opcache state = Opcache::on;
  if (Z_TYPE(status) == IS_ARRAY) {
    if (says("restart_pending") || says("restart_in_progress")) {
      state = Opcache::waits;
    } else if (!says("opcache_enabled")) {
      state = Opcache::off;
    }
  }
  zval_ptr_dtor(&status);
  return state;
}

void leave_table() {
  if (shared == nullptr) return;
  for (std::atomic<pid_t>& worker : shared->looping) {
    pid_t mine = getpid();
    worker.compare_exchange_strong(mine, 0);
  }
}

}  // namespace

bool share_restarts() {
  void* memory = mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return false;
  shared = new (memory) Shared();
  return true;
}

void watch_restarts() {
  struct sigaction action{};
  action.sa_handler = [](int) {};
  sigemptyset(&action.sa_mask);
  sigaction(wake_signal(), &action, nullptr);
  if (shared == nullptr) return;
  seen = shared->restarts;
  std::atexit(leave_table);
  for (std::atomic<pid_t>& worker : shared->looping) {
    pid_t nobody = 0;
    if (worker.compare_exchange_strong(nobody, getpid())) return;
    // A number of a worker that was killed.
    if (kill(nobody, 0) != 0 && worker.compare_exchange_strong(nobody, getpid())) return;
  }
}

void replace_opcache_reset() {
  auto* function = static_cast<zend_function*>(
      zend_hash_str_find_ptr(CG(function_table), "opcache_reset", sizeof "opcache_reset" - 1));
  if (function == nullptr || function->type != ZEND_INTERNAL_FUNCTION) return;
  reset_of_opcache = function->internal_function.handler;
  function->internal_function.handler = ZEND_FN(reset_and_tell);
}

bool restart_told() { return shared != nullptr && shared->restarts != seen; }

bool restart_asked() {
  if (restart_told()) return true;
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  if (now.tv_sec == looked) return false;
  looked = now.tv_sec;
  const Opcache state = look_at_opcache();
  if (state == Opcache::waits) {
    tell_all();
    return true;
  }
  return std::exchange(after_restart, false) && state == Opcache::off;
}

void restart_done() {
  if (!restart_told()) return;
  seen = shared->restarts;
  after_restart = true;
}

}  // namespace fivefold::worker::php
