#include "cgi_output.h"

#include <algorithm>

namespace fivefold::perl {

std::size_t end_of_head(std::string_view bytes, std::size_t from) {
  // The empty line may begin at the first byte, or right after a line's end that was seen before.
  std::size_t line = 0;
  if (from > 0) {
    line = bytes.rfind('\n', from - 1);
    line = line == std::string_view::npos ? 0 : line + 1;
  }
  while (true) {
    const std::size_t end = bytes.find('\n', line);
    if (end == std::string_view::npos) return end;
    if (end == line || (end == line + 1 && bytes[line] == '\r')) return end + 1;
    line = end + 1;
  }
}

std::string head_lines(std::string_view head) {
  std::string lines;
  lines.reserve(head.size() + 16);
  bool first = true;
  while (!head.empty()) {
    const std::size_t end = head.find('\n');
    std::string_view line = head.substr(0, end);
    head.remove_prefix(end == std::string_view::npos ? head.size() : end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty()) continue;
    if (first && line.starts_with("HTTP/") && line.find(' ') != std::string_view::npos) {
      lines += "Status:";
      line.remove_prefix(line.find(' '));
    }
    first = false;
    lines.append(line).append("\r\n");
  }
  return lines;
}

void CgiOutput::begin(worker::Request& request) {
  request_ = &request;
  head_.clear();
  head_done_ = too_long_ = false;
}

void CgiOutput::take_head(std::string_view head) {
  const std::string lines = head_lines(head);
  if (lines.starts_with("Status: 1") && !lines.starts_with("Status: 101")) {
    request_->interim(lines);
    return;
  }
  head_done_ = true;
  request_->head(lines);
}

bool CgiOutput::write(std::string_view bytes) {
  while (!head_done_) {
    if (too_long_) return false;
    std::size_t end = 0;
    if (head_.empty()) {
      end = end_of_head(bytes, 0);
      if (end != std::string_view::npos) {
        take_head(bytes.substr(0, end));
        bytes.remove_prefix(end);
        continue;
      }
    }
    if (bytes.empty()) return true;
    const std::size_t before = head_.size();
    head_.append(bytes.substr(0, kMostHead));
    end = end_of_head(head_, before);
    if (end == std::string::npos) {
      too_long_ = head_.size() >= kMostHead;
      return !too_long_;
    }
    take_head(std::string_view(head_).substr(0, end));
    bytes.remove_prefix(end - before);
    head_.clear();
  }
  if (bytes.empty() || request_->head_only()) return true;
  return request_->write(bytes);
}

}  // namespace fivefold::perl
