#include "php/stack.h"

#include <sys/uio.h>
#include <unistd.h>

#include <atomic>
#include <ctime>
#include <string>

#include "php/sapi.h"

namespace fivefold::worker::php {

namespace {

constexpr int kMostFrames = 40;
constexpr std::size_t kLongestName = 512;
constexpr int kPatience = 20;  // of kStep: how long a script has to come to a safe point
constexpr timespec kStep{0, 10'000'000};

std::atomic<bool> asked = false;
void (*engine_interrupt)(zend_execute_data*) = nullptr;

// Reads this process's memory as if it were another's: what another thread is just changing or freeing gives nonsense
// or nothing, and never a crash.
template <class Value>
bool peek(const void* at, Value& value) {
  iovec to{&value, sizeof value};
  iovec from{const_cast<void*>(at), sizeof value};
  return at != nullptr && process_vm_readv(getpid(), &to, 1, &from, 1, 0) == sizeof value;
}

std::string peek_string(const zend_string* at) {
  zend_string head;
  if (!peek(at, head)) return {};
  std::string text(std::min<std::size_t>(head.len, kLongestName), '\0');
  iovec to{text.data(), text.size()};
  iovec from{const_cast<char*>(ZSTR_VAL(at)), text.size()};
  return process_vm_readv(getpid(), &to, 1, &from, 1, 0) == static_cast<ssize_t>(text.size()) ? text : std::string();
}

std::string name_of(const zend_function& function) {
  std::string name = peek_string(function.common.function_name);
  zend_class_entry scope;
  if (!name.empty() && peek(function.common.scope, scope)) name = peek_string(scope.name) + "::" + name;
  return name;
}

// A line for each frame, the innermost first.
std::string walk() {
  std::string told;
  const zend_execute_data* at = EG(current_execute_data);
  zend_execute_data frame;
  for (int number = 0; number < kMostFrames && peek(at, frame); at = frame.prev_execute_data) {
    zend_function function;
    if (frame.func == nullptr || !peek(frame.func, function)) continue;
    const std::string name = name_of(function);
    told += "  #" + std::to_string(number++) + " ";
    if (ZEND_USER_CODE(function.type)) {
      zend_op operation;
      told += peek_string(function.op_array.filename);
      if (peek(frame.opline, operation)) told += ":" + std::to_string(operation.lineno);
      if (!name.empty()) told += " in " + name + "()";
    } else {
      told += name + "()";
    }
    told += "\n";
  }
  return told;
}

void print(const std::string& stack) {
  const std::string text = "The script of pid " + std::to_string(getpid()) +
                           (stack.empty() ? " is not running, or cannot be looked into.\n" : " is at\n" + stack);
  [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, text.data(), text.size());
}

void interrupted(zend_execute_data* frame) {
  if (asked.exchange(false)) print(walk());
  if (engine_interrupt != nullptr) engine_interrupt(frame);
}

}  // namespace

void watch_interrupts() {
  engine_interrupt = zend_interrupt_function;
  zend_interrupt_function = interrupted;
}

std::string stack_in_words() { return walk(); }

void show_stack() {
  asked = true;
  zend_atomic_bool_store_ex(&EG(vm_interrupt), true);
  for (int step = 0; step < kPatience && asked; ++step) nanosleep(&kStep, nullptr);
  if (asked.exchange(false)) print(walk());
}

}  // namespace fivefold::worker::php
