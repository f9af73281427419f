#include "models/cgi/stderr_lines.h"

#include <fmt/format.h>

namespace fivefold::models::cgi {
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

StderrLines::StderrLines(LineFile& log, std::string_view program, std::string_view request_id)
    : log_(log), program_(program), request_id_(request_id) {}

void StderrLines::set_pid(int pid) { prefix_ = fmt::format("{}[{}] {}: ", program_, pid, request_id_); }

void StderrLines::take(std::string_view bytes, net::TimePoint now) {
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

void StderrLines::note(std::string_view text) {
  finish();
  line(text);
}

void StderrLines::finish() {
  if (!partial_.empty()) line(partial_);
  partial_.clear();
  report_dropped();
}

void StderrLines::line(std::string_view text) {
  report_dropped();
  if (text.ends_with('\r')) text.remove_suffix(1);
  log_.append(prefix_ + without_controls(text));
}

void StderrLines::report_dropped() {
  if (dropped_ == 0) return;
  log_.append(fmt::format("{}[{} bytes of standard error were dropped here: more than {} bytes a second]", prefix_,
                          dropped_, kBytesPerSecond));
  dropped_ = 0;
}

}  // namespace fivefold::models::cgi
