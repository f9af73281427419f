#pragma once
// The same figures for Prometheus, in its text format 0.0.4.
#include <memory>
#include <string>

#include "control/server_view.h"
#include "exchange/exchange.h"

namespace fivefold::control {

inline constexpr const char* kMetricsType = "text/plain; version=0.0.4; charset=utf-8";

std::string metrics_text(const ServerView& view);

// Answers a route whose action is metrics. `view` outlives the handler.
std::shared_ptr<exchange::Handler> make_metrics_handler(const ServerView& view);

}  // namespace fivefold::control
