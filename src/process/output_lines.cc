#include "process/output_lines.h"

#include <fmt/format.h>

namespace fivefold::process {
namespace {

std::string without_controls(std::string_view text) {
  std::string shown;
  shown.reserve(text.size());
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte < 0x20 && c != '\t') || byte == 0x7f)
      fmt::format_to(std::back_inserter(shown), "\\x{:02x}", byte);
    else
      shown.push_back(c);
  }
  return shown;
}

}  // namespace

OutputLines::OutputLines(LineFile& log, std::string_view program, std::string_view tag)
    : log_(log), program_(program), tag_(tag) {}

void OutputLines::set_pid(int pid) {
  pid_ = pid;
  prefix_ = fmt::format("{}[{}] {}: ", program_, pid_, tag_);
}

void OutputLines::set_tag(std::string_view tag) {
  if (tag == tag_) return;
  tag_ = tag;
  set_pid(pid_);
}

void OutputLines::take(std::string_view bytes, net::TimePoint now) {
  if (refilled_ != net::TimePoint{}) {
    const double seconds = std::chrono::duration<double>(now - refilled_).count();
    budget_ = std::min<double>(kBurst, budget_ + seconds * kBytesPerSecond);
  }
  refilled_ = now;
  if (static_cast<double>(bytes.size()) > budget_) {
    dropped_ += bytes.size();
    return;
  }
  budget_ -= static_cast<double>(bytes.size());
  while (!bytes.empty()) {
    const auto feed = bytes.find('\n');
    const auto piece = bytes.substr(0, std::min(feed, kMaxLine - partial_.size()));
    partial_.append(piece);
    const bool ended = piece.size() == feed;
    bytes.remove_prefix(piece.size() + (ended ? 1 : 0));
    if (!ended && partial_.size() < kMaxLine) return;
    line(partial_);
    partial_.clear();
  }
}

void OutputLines::note(std::string_view text) {
  finish();
  line(text);
}

void OutputLines::finish() {
  if (!partial_.empty()) line(partial_);
  partial_.clear();
  report_dropped();
}

void OutputLines::line(std::string_view text) {
  report_dropped();
  if (text.ends_with('\r')) text.remove_suffix(1);
  log_.append(prefix_ + without_controls(text));
}

void OutputLines::report_dropped() {
  if (dropped_ == 0) return;
  log_.append(fmt::format("{}[{} bytes of output were dropped here: more than {} bytes a second]", prefix_, dropped_,
                          kBytesPerSecond));
  dropped_ = 0;
}

}  // namespace fivefold::process
