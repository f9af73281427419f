#pragma once
// The few of Perl's operators that mean something else in a worker than in a process of the script's own.
#include "perl_api.h"

namespace fivefold::perl {

// What the operators tell; one object in a process. Members that may be called while the script runs must not leave by
// longjmp.
class Watcher {
 public:
  virtual ~Watcher() = default;
  // The script is about to wait for something: what it has printed shall leave.
  virtual void before_waiting() {}
  // Another handle or process will write to descriptor 1.
  virtual void shares_output() {}
  // Another handle will read descriptor 0.
  virtual void shares_input() {}
  // Before exec: the environment that the new program gets.
  virtual void before_exec() {}
  // The subroutine that stands for the script's file: caller() shows nothing above it.
  virtual CV* top() { return nullptr; }

  bool folder_changed = false;
  bool umask_changed = false;
  bool alarm_set = false;
  bool file_opened = false;
  bool locale_changed = false;
};

// Before any Perl code is compiled: an operator takes its function along when it is made.
void wrap_operators();
// Whenever modules may have been loaded: their functions that change the process tell it too.
void watch_functions();
// nullptr: the operators do what they always do.
void watch_operators(Watcher* watcher);

}  // namespace fivefold::perl
