#include "models/module/start_diagnosis.h"

namespace fivefold::models::module {
namespace {

bool has(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

// What stands behind `mark`, up to `close`.
std::string after(std::string_view text, std::string_view mark, std::string_view close) {
  const auto at = text.rfind(mark);
  if (at == std::string_view::npos) return {};
  const auto rest = text.substr(at + mark.size());
  return std::string(rest.substr(0, rest.find_first_of(close)).substr(0, 120));
}

}  // namespace

std::string likely_mend(const FailedStart& failure) {
  const auto output = failure.output;
  if (has(output, "No module named '"))
    return "Install the Python package that has the module " + after(output, "No module named '", "'\n") +
           ", name its virtual environment in `venv`, or correct `wsgi` or `asgi` and `root`.";
  if (has(output, "Can't locate "))
    return "Install the Perl module that its output names (apt install lib...-perl, or cpanm).";
  if (has(output, "SyntaxError") || has(output, "syntax error") || has(output, "Parse error") ||
      has(output, "IndentationError"))
    return "It has a syntax error; the output names the line.";
  if (has(output, "opcache.preload_user"))
    return "As root PHP preloads nothing: give the program a `user`, or set opcache.preload_user in `ini_admin`.";
  if (has(output, "Permission denied"))
    return "It may not open something: look at the path in its output, and at its `user`.";
  if (failure.exit && failure.exit->signal == 9)
    return "Something killed it: the memory limit or the machine's own shortage of memory, most likely.";
  if (has(failure.message, "start_timeout"))
    return "What it loads at its start takes long, or waits for something: raise start_timeout, or load less.";
  if (has(failure.message, "No such file or directory"))
    return "Install the worker of its language; `fivefold check` says more.";
  return {};
}

}  // namespace fivefold::models::module
