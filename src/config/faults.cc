#include "config/faults.h"

#include <algorithm>
#include <tuple>

#include "base/text.h"

namespace fivefold::config {

void Faults::error(Mark at, std::string message, std::string mend) {
  faults_.push_back({Fault::Severity::error, position(at), std::move(message), std::move(mend)});
  ++errors_;
}

void Faults::warning(Mark at, std::string message, std::string mend) {
  faults_.push_back({Fault::Severity::warning, position(at), std::move(message), std::move(mend)});
}

std::vector<Fault> Faults::take() {
  sort_by_place(faults_);
  return std::move(faults_);
}

void sort_by_place(std::vector<Fault>& faults) {
  std::vector<std::size_t> order(faults.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::ranges::sort(order, {},
                    [&](std::size_t i) { return std::tuple(faults[i].position.line, faults[i].position.column, i); });
  std::vector<Fault> sorted;
  sorted.reserve(faults.size());
  for (const auto i : order) sorted.push_back(std::move(faults[i]));
  faults = std::move(sorted);
}

std::string to_string(const Fault& fault) {
  std::string text = fault.position.file;
  if (fault.position.line != 0)
    text += ":" + std::to_string(fault.position.line) + ":" + std::to_string(fault.position.column);
  if (!text.empty()) text += ": ";
  text += fault.severity == Fault::Severity::error ? "error: " : "warning: ";
  text += fault.message;
  if (!fault.mend.empty()) text += "; " + fault.mend;
  return text;
}

std::string_view nearest(std::string_view word, const std::vector<std::string_view>& known) {
  constexpr std::size_t kLongestWord = 64;
  constexpr std::size_t kShortestPrefix = 3;
  if (word.size() > kLongestWord) return {};
  const std::string lower = to_lower(word);
  std::string_view best;
  std::size_t least = 3;
  for (const auto candidate : known) {
    const auto distance = edit_distance(lower, to_lower(candidate));
    // In short words one edit; two letters that changed places are one slip, though two edits.
    const bool same_letters =
        lower.size() == candidate.size() && std::ranges::is_permutation(lower, to_lower(candidate));
    const std::size_t allowed = std::min(word.size(), candidate.size()) < 4 && !same_letters ? 1 : 2;
    if (distance <= allowed && distance < least) {
      best = candidate;
      least = distance;
    }
  }
  if (!best.empty()) return best;
  for (const auto candidate : known) {
    if (lower.size() >= kShortestPrefix && candidate.starts_with(lower)) return candidate;
    if (candidate.size() >= kShortestPrefix && lower.starts_with(candidate)) return candidate;
  }
  return {};
}

std::string any_of(const std::vector<std::string_view>& words) {
  std::string text;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (i > 0) text += i + 1 == words.size() ? " or " : ", ";
    text += words[i];
  }
  return text;
}

std::string quoted(std::string_view text) { return "\"" + printable(text) + "\""; }

}  // namespace fivefold::config
