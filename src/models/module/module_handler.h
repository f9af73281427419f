#pragma once
// One request to a program in a worker: a script, a body, a worker, the call, the answer.
#include <memory>

#include "exchange/exchange.h"
#include "models/module/module_program.h"
#include "upstream/worker_exchange.h"

namespace fivefold::models::module {

class ModuleHandler final : public exchange::Handler {
 public:
  static constexpr std::size_t kMostAhead = 16 * 1024;  // bytes of a request that is sent ahead: variables, body
  static constexpr int kTries = 3;  // workers that may turn out to be gone before one has read the request

  explicit ModuleHandler(std::shared_ptr<const ModuleProgram> program) : program_(std::move(program)) {}
  net::Task<Result<exchange::Response>> handle(exchange::Request request, exchange::Exchange& exchange) override;

 private:
  using Program = std::shared_ptr<const ModuleProgram>;
  struct Attempt;
  static upstream::WorkerCall call(const ModuleProgram& program, Attempt& attempt, upstream::WorkerChannel& channel,
                                   std::unique_ptr<upstream::WorkerOwner> owner, exchange::Request& request,
                                   exchange::Exchange& exchange);
  static net::Task<upstream::WorkerResult> ask(Program program, Attempt& attempt, std::unique_ptr<process::Lease> lease,
                                               std::shared_ptr<upstream::WorkerExchange> sent,
                                               process::StringBlock variables, exchange::Request& request,
                                               exchange::Exchange& exchange);
  static net::Task<Result<void>> receive_body(Program program, exchange::Request& request, exchange::Exchange& exchange,
                                              std::optional<std::uint64_t>& length);
  static net::Task<Result<exchange::Response>> run(Program program, Selection selection, exchange::Request& request,
                                                   exchange::Exchange& exchange);
  static net::Task<Result<exchange::Response>> respond(Program program, upstream::Answer answer,
                                                       exchange::Request& request, exchange::Exchange& exchange);

  Program program_;
};

}  // namespace fivefold::models::module
