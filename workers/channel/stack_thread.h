#pragma once
// A thread of a worker that waits to be asked where the script is (protocol::kStackSignal). A thread and no handler:
// the script's own system calls, its sleep() above all, are not interrupted by the question.

namespace fivefold::worker {

class Interpreter;

// In a worker, once, in its main thread. Interpreter::show_stack() is called in the new one.
void start_stack_thread(Interpreter& interpreter);
// The question has no answer here.
void ignore_stack_signal();

}  // namespace fivefold::worker
