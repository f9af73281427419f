// What people, programs and the curious are told of an error.
#include "serve/error_page.h"

#include "process/journey.h"
#include "serve/session_rig_test.h"

namespace fivefold::serve {
namespace {

struct FakeExchange final : exchange::Exchange {
  using Exchange::Exchange;
  net::Task<Result<exchange::Response>> redirect_locally(std::string) override {
    co_return fail(Code::not_found, "nowhere");
  }
};

class ErrorPageTest : public ::testing::Test {
 protected:
  ErrorPageTest() {
    exchange_.id.hex.fill('a');
    process::Journey journey(net::Clock::now());
    journey.step("spawned", net::Clock::now(), "pid 4711");
    journey.output("<script>alert(1)</script>\n");
    journey.failed("it ended with status 1", "Install express.");
    exchange_.failure_page_html = journey.as_html();
  }

  std::string page(config::ErrorDetail detail, std::string_view accept = "text/html") {
    auto config = std::make_shared<config::Config>();
    config->server.error_detail = detail;
    const Site site(config, {});
    http::Head head;
    head.fields = {{"Accept", accept}};
    const auto response =
        error_response(Error{Code::program_unavailable, "it ended with status 1"}, exchange_, site, &head);
    EXPECT_EQ(response.status, 503);
    return std::string(response.body.as_bytes()->view);
  }

  net::Loop loop_{0};
  net::BlockingPool blocking_{1};
  NoSpawner spawner_;
  exchange::World world_{loop_, blocking_, spawner_};
  FakeExchange exchange_{world_};
};

std::size_t times(std::string_view text, std::string_view part) {
  std::size_t count = 0;
  for (auto at = text.find(part); at != std::string_view::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

TEST_F(ErrorPageTest, TheWholeStoryWhereTheSiteTellsIt) {
  const auto html = page(config::ErrorDetail::page);
  EXPECT_EQ(times(html, "it ended with status 1"), 1U) << html;
  EXPECT_EQ(times(html, "pid 4711"), 1U);
  EXPECT_EQ(times(html, "Install express."), 1U);
  EXPECT_EQ(times(html, "&lt;script&gt;alert(1)"), 1U);
  EXPECT_EQ(times(html, "<script"), 0U);
  EXPECT_EQ(times(html, std::string(32, 'a')), 1U);
}

TEST_F(ErrorPageTest, OnlyAnIdInProduction) {
  const auto html = page(config::ErrorDetail::id);
  EXPECT_EQ(times(html, "it ended"), 0U) << html;
  EXPECT_EQ(times(html, "4711"), 0U);
  EXPECT_EQ(times(html, "express"), 0U);
  EXPECT_EQ(times(html, std::string(32, 'a')), 1U);
}

TEST_F(ErrorPageTest, NothingIsFetchedFromElsewhere) {
  const auto html = page(config::ErrorDetail::page);
  for (const char* reference : {"http:", "https:", "src=", "href=", "url(", "@import"})
    EXPECT_EQ(times(html, reference), 0U) << reference;
}

TEST_F(ErrorPageTest, ProgramsGetWhatTheyAskFor) {
  EXPECT_EQ(page(config::ErrorDetail::id, "application/json"),
            "{\"status\":503,\"error\":\"Service Unavailable\",\"message\":\"\",\"request_id\":\"" +
                std::string(32, 'a') + "\"}\n");
  EXPECT_EQ(page(config::ErrorDetail::page, "text/plain"), "503 Service Unavailable: it ended with status 1\n");
}

}  // namespace
}  // namespace fivefold::serve
