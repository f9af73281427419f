#pragma once
// Where the script is: file, line and sub, and who called it.

namespace fivefold::perl {

// In a worker, once.
void watch_for_question();
// In the thread that is asked: the script says so itself before its next operator. Of one that waits inside an operator
// only the line is known until it comes back.
void show_stack();

}  // namespace fivefold::perl
