#include "app/server_logs.h"

namespace fivefold::app {

ServerLogs::ServerLogs(LogFiles files, const std::string& level)
    : server_(std::make_unique<LineFile>(std::move(files.server))) {
  if (files.access) access_ = std::make_unique<LineFile>(std::move(files.access));
  for (auto& [name, fd] : files.programs) programs_.emplace(name, std::make_unique<LineFile>(std::move(fd)));
  log_ = make_log(*server_, level);
}

void ServerLogs::reopen(LogFiles files) {
  if (files.server) server_->reopen(std::move(files.server));
  if (files.access && access_) access_->reopen(std::move(files.access));
  for (auto& [name, fd] : files.programs) {
    const auto known = programs_.find(name);
    if (known != programs_.end())
      known->second->reopen(std::move(fd));
    else
      programs_.emplace(name, std::make_unique<LineFile>(std::move(fd)));
  }
}

void ServerLogs::set_level(const std::string& level) {
  log_->set_level(level == "warning" ? spdlog::level::warn
                  : level == "error" ? spdlog::level::err
                                     : spdlog::level::from_str(level));
}

LineFile& ServerLogs::program(const std::string& name) {
  const auto own = programs_.find(name);
  return own == programs_.end() ? *server_ : *own->second;
}

void ServerLogs::flush() {
  server_->flush();
  if (access_) access_->flush();
  for (auto& [name, file] : programs_) file->flush();
}

}  // namespace fivefold::app
