#pragma once
// Keeps a worker leased until it takes the next request, which may be longer than its request lives.
#include <memory>
#include <optional>
#include <string>

#include "models/module/module_program.h"
#include "models/module/worker_line.h"
#include "process/output_lines.h"
#include "process/pool.h"
#include "upstream/worker_call.h"

namespace fivefold::models::module {

class LeaseOwner final : public upstream::WorkerOwner {
 public:
  // `line` and `channel` are those of the loop and the worker that the lease is used on, and are told when this ends;
  // null for a worker that takes several requests at once.
  LeaseOwner(std::unique_ptr<process::Lease> lease, std::shared_ptr<const ModuleProgram> program,
             std::string request_id, WorkerLine* line, upstream::WorkerChannel* channel);
  ~LeaseOwner() override;
  void sent() override {
    if (line_) line_->sent(*channel_);
  }
  void died(const Error& error) override;
  void broke(const Error& error) override;
  void log(int severity, std::string_view text, bool ends) override;
  void outlives_request() override { lease_->keep_words(); }
  void leaves() override;
  void kill(std::string reason) override;

 private:
  std::unique_ptr<process::Lease> lease_;
  std::shared_ptr<const ModuleProgram> program_;
  std::string request_id_;
  WorkerLine* line_;
  upstream::WorkerChannel* channel_;
  std::optional<process::OutputLines> lines_;
  bool within_line_ = false;
  bool goes_on_ = true;  // the worker does, after this request
};

}  // namespace fivefold::models::module
