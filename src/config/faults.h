#pragma once
// Faults as they are found, with their places, to be told in the order of the file.
#include <string>
#include <string_view>
#include <vector>

#include "config/document.h"
#include "config/load.h"

namespace fivefold::config {

class Faults {
 public:
  explicit Faults(std::string file) : file_(std::move(file)) {}

  void error(Mark at, std::string message, std::string mend = {});
  void warning(Mark at, std::string message, std::string mend = {});

  Position position(Mark at) const { return {file_, at.line, at.column}; }
  bool has_errors() const { return errors_ > 0; }
  std::size_t errors() const { return errors_; }
  // In the order of the file.
  std::vector<Fault> take();

 private:
  std::string file_;
  std::vector<Fault> faults_;
  std::size_t errors_ = 0;
};

// In the order of their lines and columns; those of one place stay in theirs.
void sort_by_place(std::vector<Fault>& faults);

// The one of `known` that `word` was probably meant to be: two edits away at most (one for short words), or begun
// alike. Empty when there is none.
std::string_view nearest(std::string_view word, const std::vector<std::string_view>& known);

// "a, b or c"
std::string any_of(const std::vector<std::string_view>& words);

// `text` for a message: in quotation marks, printable, not too long.
std::string quoted(std::string_view text);

}  // namespace fivefold::config
