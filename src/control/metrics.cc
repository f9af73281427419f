#include "control/metrics.h"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <limits>
#include <map>

namespace fivefold::control {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using Labels = std::vector<ClientMetric::Label>;

class Families {
 public:
  // Adds a value to the family of that name, which begins with its first.
  void counter(const char* name, const char* help, std::uint64_t value, Labels labels = {}) {
    metric(name, help, MetricType::Counter, std::move(labels)).counter.value = static_cast<double>(value);
  }
  void gauge(const char* name, const char* help, double value, Labels labels = {}) {
    metric(name, help, MetricType::Gauge, std::move(labels)).gauge.value = value;
  }
  ClientMetric& metric(const char* name, const char* help, MetricType type, Labels labels) {
    auto family = std::find_if(all_.begin(), all_.end(), [&](const MetricFamily& known) { return known.name == name; });
    if (family == all_.end()) family = all_.insert(all_.end(), MetricFamily{name, help, type, {}});
    auto& added = family->metric.emplace_back();
    added.label = std::move(labels);
    return added;
  }
  const std::vector<MetricFamily>& all() const { return all_; }

 private:
  std::vector<MetricFamily> all_;
};

void add_durations(Families& families, const Totals& sum) {
  auto& histogram = families
                        .metric("fivefold_request_duration_seconds",
                                "Time from a request's head to the end of its response.", MetricType::Histogram, {})
                        .histogram;
  std::uint64_t below = 0;
  for (std::size_t i = 0; i < sum.duration_buckets.size(); ++i) {
    below += sum.duration_buckets[i];
    histogram.bucket.push_back({below, i < serve::kDurationBuckets.size() ? serve::kDurationBuckets[i]
                                                                          : std::numeric_limits<double>::infinity()});
  }
  histogram.sample_count = below;
  histogram.sample_sum = static_cast<double>(sum.duration_sum_us) / 1e6;
}

// Of programs whose instances live on from request to request.
void add_instances(Families& families, const exchange::ProgramStatus& program, const Labels& labels) {
  std::map<std::string, double> states{{"starting", 0}, {"ready", 0},    {"busy", 0},  {"ejected", 0},
                                       {"draining", 0}, {"stopping", 0}, {"failed", 0}};
  double active = 0;
  for (const auto& process : program.processes) {
    if (!process.state.empty()) ++states[process.state];
    active += static_cast<double>(process.active);
  }
  for (const auto& [state, count] : states) {
    auto with_state = labels;
    with_state.emplace_back("state", state);
    families.gauge("fivefold_program_instances", "Instances of a program by state.", count, with_state);
  }
  families.gauge("fivefold_program_active", "Requests on a program's instances now.", active, labels);
  families.counter("fivefold_program_starts_total", "Instances of a program that became ready.", program.starts,
                   labels);
  families.counter("fivefold_program_failed_starts_total", "Instances of a program that did not become ready.",
                   program.failed_starts, labels);
  families.counter("fivefold_program_crashes_total", "Instances of a program that ended by themselves.",
                   program.crashes, labels);
  families.counter("fivefold_program_queue_full_total", "Requests refused because a program's queue was full.",
                   program.queue_full, labels);
  families.counter("fivefold_program_queue_timeouts_total", "Requests that waited too long in a program's queue.",
                   program.queue_timeouts, labels);
}

void add_programs(Families& families, const serve::Site& site) {
  for (const auto& program : site.program_status()) {
    const Labels labels{{"program", program.name}, {"model", program.model}};
    std::uint64_t memory = 0;
    for (const auto& process : program.processes) memory += memory_of(process.pid);
    families.counter("fivefold_program_requests_total", "Requests a program was asked to answer.", program.requests,
                     labels);
    families.counter("fivefold_program_failures_total", "Of those, how many failed by the program's making.",
                     program.failures, labels);
    families.gauge("fivefold_program_running", "Processes or requests of a program that run now.",
                   static_cast<double>(program.running), labels);
    families.gauge("fivefold_program_waiting", "Requests in a program's queue.", static_cast<double>(program.waiting),
                   labels);
    families.gauge("fivefold_program_memory_bytes", "Resident memory of a program's processes.",
                   static_cast<double>(memory), labels);
    std::chrono::milliseconds oldest{0};
    for (const auto& process : program.processes) oldest = std::max(oldest, process.request_age);
    families.gauge("fivefold_program_oldest_request_seconds",
                   "Age of the request that an instance has had for longest.",
                   std::chrono::duration<double>(oldest).count(), labels);
    if (program.starts + program.failed_starts > 0) add_instances(families, program, labels);
  }
}

class MetricsHandler : public exchange::Handler {
 public:
  explicit MetricsHandler(const ServerView& view) : view_(view) {}

  net::Task<Result<exchange::Response>> handle(exchange::Request request, exchange::Exchange&) override {
    if (request.head.method != http::Method::get && request.head.method != http::Method::head)
      co_return fail(Code::method_not_allowed, "metrics are read with GET", "GET, HEAD");
    exchange::Response response;
    response.headers.set("Content-Type", kMetricsType);
    response.headers.set("Cache-Control", "no-store");
    response.body = exchange::Body::text(metrics_text(view_));
    co_return response;
  }

 private:
  const ServerView& view_;
};

}  // namespace

std::string metrics_text(const ServerView& view) {
  Families families;
  families.gauge("fivefold_info", "Constant 1; the version is a label.", 1, {{"version", FIVEFOLD_VERSION}});
  families.gauge("fivefold_start_time_seconds", "When the keeper started, in unix time.",
                 static_cast<double>(view.started));
  families.gauge("fivefold_server_start_time_seconds", "When this server process started, in unix time.",
                 static_cast<double>(view.server_started));
  families.counter("fivefold_server_crashes_total",
                   "Server processes that ended unexpectedly since the keeper started.", view.crashes);
  families.counter("fivefold_reloads_total", "Configurations this server process has taken over.", view.reloads.load());
  families.gauge("fivefold_resident_memory_bytes", "Resident memory of the server process.",
                 static_cast<double>(memory_of(::getpid())));
  families.gauge("fivefold_open_descriptors", "Open descriptors of the server process.",
                 static_cast<double>(open_descriptors()));
  families.gauge("fivefold_descriptor_limit", "How many it may have.", static_cast<double>(descriptor_limit()));
  if (const auto* http = view.http.load()) {
    const auto sum = totals(*http);
    families.counter("fivefold_connections_accepted_total", "Client connections accepted.", sum.connections_accepted);
    families.gauge("fivefold_connections_open", "Client connections open.", static_cast<double>(sum.connections_open));
    families.gauge("fivefold_connections_idle", "Of those, how many wait for a request.",
                   static_cast<double>(sum.connections_idle));
    families.counter("fivefold_requests_total", "Requests received.", sum.requests);
    families.gauge("fivefold_requests_active", "Requests being answered.", static_cast<double>(sum.requests_active));
    for (std::size_t status = 1; status < sum.responses.size(); ++status)
      families.counter("fivefold_responses_total", "Responses by class of their status.", sum.responses[status],
                       {{"class", std::to_string(status) + "xx"}});
    families.counter("fivefold_malformed_requests_total", "Requests refused for what they looked like.", sum.refused);
    families.counter("fivefold_timeouts_total", "Connections ended because a client was too slow.", sum.timeouts);
    families.counter("fivefold_received_bytes_total", "Bytes received from clients.", sum.bytes_received);
    families.counter("fivefold_sent_bytes_total", "Bytes sent to clients.", sum.bytes_sent);
    add_durations(families, sum);
    add_programs(families, *http->site());
  }
  return prometheus::TextSerializer().Serialize(families.all());
}

std::shared_ptr<exchange::Handler> make_metrics_handler(const ServerView& view) {
  return std::make_shared<MetricsHandler>(view);
}

}  // namespace fivefold::control
