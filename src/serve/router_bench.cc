#include <benchmark/benchmark.h>

#include "serve/router.h"

namespace fivefold::serve {
namespace {

void match_last_of(benchmark::State& state) {
  std::vector<config::Route> routes;
  for (int i = 0; i < state.range(0); ++i) {
    config::Route route;
    route.path = "/application-" + std::to_string(i) + "/*";
    routes.push_back(route);
  }
  const Router router(routes);
  const std::string path = "/application-" + std::to_string(state.range(0) - 1) + "/index.html";
  std::string allowed;
  for (auto _ : state) benchmark::DoNotOptimize(router.match("localhost", path, http::Method::get, "GET", allowed));
}
BENCHMARK(match_last_of)->Arg(1)->Arg(10)->Arg(100)->Arg(1000);

}  // namespace
}  // namespace fivefold::serve
