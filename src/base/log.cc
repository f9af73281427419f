#include "base/log.h"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>

namespace fivefold {
namespace {

class LineFileSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  explicit LineFileSink(LineFile& file) : file_(file) {}

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t line;
    base_sink::formatter_->format(message, line);
    std::string_view text(line.data(), line.size());
    while (!text.empty() && text.back() == '\n') text.remove_suffix(1);
    file_.append(text);
  }
  void flush_() override { file_.flush(); }

 private:
  LineFile& file_;
};

}  // namespace

std::shared_ptr<Log> make_log(LineFile& file, const std::string& level) {
  auto sink = std::make_shared<LineFileSink>(file);
  sink->set_formatter(
      std::make_unique<spdlog::pattern_formatter>("%Y-%m-%dT%H:%M:%S.%eZ %l %v", spdlog::pattern_time_type::utc));
  auto log = std::make_shared<Log>("fivefold", std::move(sink));
  log->set_level(spdlog::level::from_str(level));
  return log;
}

}  // namespace fivefold
