#include "process/journey.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"

namespace fivefold::process {
namespace {

constexpr std::size_t kOutputTail = 4096;
constexpr std::size_t kMaxSteps = 64;  // a journey that goes on and on keeps its first steps

std::string milliseconds(std::chrono::microseconds at) {
  return fmt::format("{:.1f} ms", static_cast<double>(at.count()) / 1000.0);
}

// As text for a log: what could forge lines or drive a terminal is escaped; line feeds and tabs stay.
std::string printable_lines(std::string_view bytes) {
  std::string out;
  while (!bytes.empty()) {
    const auto end = bytes.find('\n');
    out += "    | " + printable(bytes.substr(0, end), kOutputTail) + "\n";
    if (end == std::string_view::npos) break;
    bytes.remove_prefix(end + 1);
  }
  return out;
}

}  // namespace

void Journey::step(std::string name, net::TimePoint now, std::string note) {
  if (steps_.size() == kMaxSteps) return;
  steps_.push_back(
      {std::move(name), std::chrono::duration_cast<std::chrono::microseconds>(now - start_), std::move(note)});
}

void Journey::fact(std::string name, std::string value) {
  const auto same = std::ranges::find(facts_, name, [](const auto& each) { return each.first; });
  if (same != facts_.end())
    same->second = std::move(value);
  else if (facts_.size() < kMaxSteps)
    facts_.emplace_back(std::move(name), std::move(value));
}

void Journey::output(std::string_view stderr_bytes) {
  if (stderr_bytes.size() >= kOutputTail) {
    output_.assign(stderr_bytes.substr(stderr_bytes.size() - kOutputTail));
    return;
  }
  output_.append(stderr_bytes);
  if (output_.size() > kOutputTail) output_.erase(0, output_.size() - kOutputTail);
}

void Journey::failed(std::string what, std::string mend) {
  failure_ = std::move(what);
  mend_ = std::move(mend);
}

std::string Journey::as_text() const {
  std::string text;
  for (const Step& step : steps_) {
    text += fmt::format("  {:>10}  {}", milliseconds(step.at), printable(step.name));
    if (!step.note.empty()) text += " (" + printable(step.note, 1024) + ")";
    text += '\n';
  }
  for (const auto& [name, value] : facts_) text += "  " + printable(name) + ": " + printable(value, kOutputTail) + "\n";
  if (!failure_.empty()) text += "  failed: " + printable(failure_, kOutputTail) + "\n";
  if (!mend_.empty()) text += "  likely mend: " + printable(mend_, kOutputTail) + "\n";
  if (!output_.empty()) text += "  the program's own output:\n" + printable_lines(output_);
  return text;
}

std::string Journey::as_html() const {
  std::string html = "<ol class=\"journey\">\n";
  for (const Step& step : steps_) {
    html += "<li><time>" + milliseconds(step.at) + "</time> " + html_escape(step.name);
    if (!step.note.empty()) html += " <small>" + html_escape(step.note) + "</small>";
    html += "</li>\n";
  }
  html += "</ol>\n";
  if (!facts_.empty()) {
    html += "<dl class=\"facts\">\n";
    for (const auto& [name, value] : facts_)
      html += "<dt>" + html_escape(name) + "</dt><dd>" + html_escape(value) + "</dd>\n";
    html += "</dl>\n";
  }
  if (!failure_.empty()) html += "<p class=\"failure\">" + html_escape(failure_) + "</p>\n";
  if (!mend_.empty()) html += "<p class=\"mend\">" + html_escape(mend_) + "</p>\n";
  if (!output_.empty()) html += "<pre class=\"output\">" + html_escape(output_) + "</pre>\n";
  return html;
}

}  // namespace fivefold::process
