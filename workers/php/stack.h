#pragma once
// Where the script is: file, line and function, and who called it.
#include <string>

namespace fivefold::worker::php {

// After the engine's start, in the zygote.
void watch_interrupts();
// In the thread that is asked: the script says so itself at its next safe point. One that waits inside a function of C
// does not come to one soon; then it is read from outside.
void show_stack();
// In the main thread, while a script runs.
std::string stack_in_words();

}  // namespace fivefold::worker::php
