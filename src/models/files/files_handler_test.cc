#include "models/files/files_handler.h"

#include <sys/socket.h>
#include <sys/un.h>

#include "models/files/files_test_support.h"

namespace fivefold::models::files {
namespace {

using http::Method;

class FilesHandlerTest : public FilesFixture {};

TEST_F(FilesHandlerTest, SendsAFileWithItsFields) {
  files_.cache_control = "max-age=60";
  write("a.html", "<p>hello");
  const Answer answer = get("/a.html");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "<p>hello");
  EXPECT_EQ(answer.length, 8u);
  EXPECT_TRUE(answer.headers.get("Content-Type").starts_with("text/html"));
  EXPECT_EQ(answer.headers.get("Accept-Ranges"), "bytes");
  EXPECT_EQ(answer.headers.get("Cache-Control"), "max-age=60");
  EXPECT_TRUE(answer.headers.get("Last-Modified").ends_with(" GMT"));
  EXPECT_TRUE(answer.headers.get("ETag").starts_with("\""));
  EXPECT_FALSE(answer.headers.has("Vary"));
}

TEST_F(FilesHandlerTest, HeadHasTheSameFieldsAndLength) {
  write("a.txt", "hello");
  const Answer with_body = get("/a.txt");
  const Answer head = request(Method::head, "/a.txt", {{"Range", "bytes=0-1"}});
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.headers.wire(), with_body.headers.wire());
  EXPECT_EQ(head.length, with_body.length);
}

TEST_F(FilesHandlerTest, OtherMethodsAre405AndOptionsSaysWhich) {
  write("a.txt", "hello");
  for (const Method method : {Method::post, Method::put, Method::delete_, Method::patch, Method::other}) {
    const Answer answer = request(method, "/a.txt");
    ASSERT_TRUE(answer.error);
    EXPECT_EQ(answer.error->code, Code::method_not_allowed);
    EXPECT_EQ(answer.error->detail, "GET, HEAD");
  }
  const Answer options = request(Method::options, "/a.txt");
  EXPECT_EQ(options.status, 204);
  EXPECT_EQ(options.headers.get("Allow"), "GET, HEAD, OPTIONS");
}

TEST_F(FilesHandlerTest, IndexAndSlashes) {
  write("index.html", "top");
  write("dir/index.html", "inner");
  std::filesystem::create_directory(root_ + "/bare");
  EXPECT_EQ(get("/").body, "top");
  EXPECT_EQ(get("/dir/").body, "inner");
  EXPECT_EQ(get("/index.html/").error->code, Code::not_found);
  EXPECT_EQ(get("/bare/").error->code, Code::not_found);
  EXPECT_EQ(get("/nothing").error->code, Code::not_found);
  EXPECT_EQ(get("/index.html/x").error->code, Code::not_found);
}

TEST_F(FilesHandlerTest, FolderWithoutSlashIsRedirectedWithItsQuery) {
  std::filesystem::create_directory(root_ + "/a b\"\\");
  const Answer answer = request(Method::get, "/a b\"\\", {}, "x=1&y=%20");
  EXPECT_EQ(answer.status, 301);
  EXPECT_EQ(answer.headers.get("Location"), "/a%20b%22%5C/?x=1&y=%20");
  EXPECT_EQ(get("/a b\"\\").headers.get("Location"), "/a%20b%22%5C/");
}

TEST_F(FilesHandlerTest, ThePrefixOfTheRouteIsNotPartOfThePath) {
  prefix_ = "/static/";
  write("a.txt", "hello");
  EXPECT_EQ(get("/static/a.txt").body, "hello");
  EXPECT_EQ(get("/static/static/a.txt").error->code, Code::not_found);
}

TEST_F(FilesHandlerTest, ARouteForOnePathNamesTheFileOfThatName) {
  prefix_ = "/icons/favicon.ico";
  write("favicon.ico", "icon");
  EXPECT_EQ(get("/icons/favicon.ico").body, "icon");
}

TEST_F(FilesHandlerTest, DotFilesAreHiddenEverywhereInThePath) {
  write(".secret", "x");
  write(".git/config", "x");
  write("a/.b/c", "x");
  write(".well-known/acme", "token");
  EXPECT_EQ(get("/.secret").error->code, Code::not_found);
  EXPECT_EQ(get("/.git/config").error->code, Code::not_found);
  EXPECT_EQ(get("/a/.b/c").error->code, Code::not_found);
  EXPECT_EQ(get("/.well-known/acme").body, "token");
}

TEST_F(FilesHandlerTest, DotFilesAreSentWhereAsked) {
  files_.dot_files = true;
  write(".secret", "x");
  EXPECT_EQ(get("/.secret").body, "x");
  EXPECT_EQ(get("/../root/.secret").error->code, Code::not_found);
}

TEST_F(FilesHandlerTest, PipesAndSocketsAreNotFoundAndNeverBlock) {
  ASSERT_EQ(::mkfifo((root_ + "/fifo").c_str(), 0666), 0);
  const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{.sun_family = AF_UNIX};
  const std::string path = root_ + "/socket";
  ASSERT_LT(path.size(), sizeof address.sun_path);
  path.copy(address.sun_path, path.size());
  ASSERT_EQ(::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  EXPECT_EQ(get("/fifo").error->code, Code::not_found);
  EXPECT_EQ(get("/socket").error->code, Code::not_found);
  ::close(fd);
}

TEST_F(FilesHandlerTest, NamesOfAnyBytes) {
  for (const std::string name : {"a b", "\xC3\xBC", "\xFF\xFE", "a\nb", "%41", "back\\slash", "semi;colon?*"}) {
    write(name, name);
    EXPECT_EQ(get("/" + name).body, name);
  }
  EXPECT_EQ(get("/" + std::string(300, 'x')).error->code, Code::not_found);
  std::string deep = "/";
  for (int i = 0; i < 3000; ++i) deep += "x/";
  EXPECT_EQ(get(deep).error->code, Code::not_found);
}

TEST_F(FilesHandlerTest, TypesOfTheConfigurationComeFirst) {
  files_.types = {{".foo", "text/x-foo"}, {"tar.gz", "application/x-tar-gz"}, {"README", "text/plain"}};
  for (const char* name : {"a.FOO", "b.tar.gz", "README", "c.xyz-unknown", "afoo"}) write(name, "x");
  EXPECT_EQ(get("/a.FOO").headers.get("Content-Type"), "text/x-foo");
  EXPECT_EQ(get("/b.tar.gz").headers.get("Content-Type"), "application/x-tar-gz");
  EXPECT_EQ(get("/README").headers.get("Content-Type"), "text/plain");
  EXPECT_EQ(get("/c.xyz-unknown").headers.get("Content-Type"), "application/octet-stream");
  EXPECT_EQ(get("/afoo").headers.get("Content-Type"), "application/octet-stream");
}

TEST_F(FilesHandlerTest, UnreadableFilesAreForbidden) {
  write("a.txt", "x");
  write("closed/b.txt", "x");
  ASSERT_EQ(::chmod((root_ + "/a.txt").c_str(), 0), 0);
  ASSERT_EQ(::chmod((root_ + "/closed").c_str(), 0), 0);
  ASSERT_EQ(::chmod(outer_.c_str(), 0755), 0);
  const bool root = ::geteuid() == 0;  // who may read everything: become nobody for a moment
  if (root) ASSERT_EQ(::seteuid(65534), 0);
  const Answer file = get("/a.txt"), below = get("/closed/b.txt");
  if (root) ASSERT_EQ(::seteuid(0), 0);
  ::chmod((root_ + "/closed").c_str(), 0755);
  ASSERT_TRUE(file.error && below.error);
  EXPECT_EQ(file.error->code, Code::forbidden);
  EXPECT_EQ(below.error->code, Code::forbidden);
}

TEST_F(FilesHandlerTest, AMissingRootIsNotFoundAndCanComeLater) {
  files_.root = root_ + "/later";
  EXPECT_EQ(get("/a").error->code, Code::not_found);
  write("later/a", "here");
  EXPECT_EQ(get("/a").body, "here");
}

// ---- conditions and ranges ----

TEST_F(FilesHandlerTest, Conditions) {
  files_.cache_control = "no-cache";
  write("a.txt", "hello");
  write("a.txt.gz", "zipped");
  const Answer first = get("/a.txt");
  const std::string etag(first.headers.get("ETag")), date(first.headers.get("Last-Modified"));
  const Answer same = get("/a.txt", {{"If-None-Match", etag}});
  EXPECT_EQ(same.status, 304);
  EXPECT_EQ(same.headers.get("ETag"), etag);
  EXPECT_EQ(same.headers.get("Cache-Control"), "no-cache");
  EXPECT_EQ(same.headers.get("Vary"), "Accept-Encoding");
  EXPECT_TRUE(same.body.empty());
  EXPECT_EQ(get("/a.txt", {{"If-None-Match", "\"other\""}}).status, 200);
  EXPECT_EQ(get("/a.txt", {{"If-Modified-Since", date}}).status, 304);
  EXPECT_EQ(get("/a.txt", {{"If-None-Match", "\"other\""}, {"If-Modified-Since", date}}).status, 200);
  EXPECT_EQ(get("/a.txt", {{"If-Match", etag}}).status, 200);
  EXPECT_EQ(get("/a.txt", {{"If-Match", "\"other\""}}).error->code, Code::precondition_failed);
  EXPECT_EQ(get("/a.txt", {{"If-Unmodified-Since", "Thu, 01 Jan 1970 00:00:00 GMT"}}).error->code,
            Code::precondition_failed);
  EXPECT_EQ(get("/a.txt", {{"Range", "bytes=0-0"}, {"If-Range", etag}}).status, 206);
  EXPECT_EQ(get("/a.txt", {{"Range", "bytes=0-0"}, {"If-Range", "\"other\""}}).status, 200);
}

TEST_F(FilesHandlerTest, SingleRanges) {
  write("a.txt", "0123456789");
  const Answer part = get("/a.txt", {{"Range", "bytes=2-4"}});
  EXPECT_EQ(part.status, 206);
  EXPECT_EQ(part.body, "234");
  EXPECT_EQ(part.headers.get("Content-Range"), "bytes 2-4/10");
  EXPECT_EQ(get("/a.txt", {{"Range", "bytes=7-"}}).body, "789");
  EXPECT_EQ(get("/a.txt", {{"Range", "bytes=-2"}}).body, "89");
  EXPECT_EQ(get("/a.txt", {{"Range", "lines=1-2"}}).status, 200);
  EXPECT_EQ(get("/a.txt", {{"Range", "bytes=5-2"}}).status, 200);
  const Answer outside = get("/a.txt", {{"Range", "bytes=10-"}});
  EXPECT_EQ(outside.error->code, Code::range_not_satisfiable);
  EXPECT_EQ(outside.error->detail, "bytes */10");
}

void expect_two_parts(const Answer& answer) {
  EXPECT_EQ(answer.status, 206);
  const std::string type(answer.headers.get("Content-Type"));
  ASSERT_TRUE(type.starts_with("multipart/byteranges; boundary="));
  const std::string boundary = type.substr(type.find('=') + 1);
  EXPECT_GE(boundary.size(), 32u);
  EXPECT_EQ(
      answer.body,
      "--" + boundary + "\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Range: bytes 0-1/10\r\n\r\n01\r\n--" +
          boundary + "\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Range: bytes 8-9/10\r\n\r\n89\r\n--" +
          boundary + "--\r\n");
  EXPECT_EQ(answer.length, answer.body.size());
  EXPECT_FALSE(answer.headers.has("Content-Range"));
}

TEST_F(FilesHandlerTest, SeveralRanges) {
  write("a.txt", "0123456789");
  expect_two_parts(get("/a.txt", {{"Range", "bytes=0-1,-2"}}));
  std::string many = "bytes=0-0";
  for (int i = 1; i < 1000; ++i) many += ",0-0";
  EXPECT_NE(get("/a.txt", {{"Range", many}}).status, 0);
}

TEST_F(FilesHandlerTest, SeveralRangesFromTheDisk) {
  cache_.content = 0;
  write("a.txt", "0123456789");
  expect_two_parts(get("/a.txt", {{"Range", "bytes=0-1,-2"}}));
}

// ---- precompressed neighbours ----

TEST_F(FilesHandlerTest, PrecompressedByWeightThenBySize) {
  write("a.js", std::string(100, 'a'));
  write("a.js.gz", "gzip......");
  write("a.js.br", "br..");
  write("a.js.zst", "zstd..");
  const Answer plain = get("/a.js");
  EXPECT_EQ(plain.body.size(), 100u);
  EXPECT_EQ(plain.headers.get("Vary"), "Accept-Encoding");
  EXPECT_FALSE(plain.headers.has("Content-Encoding"));
  const Answer smallest = get("/a.js", {{"Accept-Encoding", "gzip, deflate, br, zstd"}});
  EXPECT_EQ(smallest.body, "br..");
  EXPECT_EQ(smallest.headers.get("Content-Encoding"), "br");
  EXPECT_EQ(smallest.headers.get("Content-Type"), plain.headers.get("Content-Type"));
  EXPECT_EQ(smallest.headers.get("Vary"), "Accept-Encoding");
  EXPECT_NE(smallest.headers.get("ETag"), plain.headers.get("ETag"));
  EXPECT_EQ(get("/a.js", {{"Accept-Encoding", "gzip;q=1, br;q=0.5"}}).headers.get("Content-Encoding"), "gzip");
  EXPECT_EQ(get("/a.js", {{"Accept-Encoding", "br;q=0, zstd"}}).headers.get("Content-Encoding"), "zstd");
  EXPECT_EQ(get("/a.js", {{"Accept-Encoding", "identity"}}).body.size(), 100u);
  const Answer part = get("/a.js", {{"Accept-Encoding", "br"}, {"Range", "bytes=2-3"}});
  EXPECT_EQ(part.body, "..");
  EXPECT_EQ(part.headers.get("Content-Range"), "bytes 2-3/4");
  EXPECT_EQ(part.headers.get("Content-Encoding"), "br");
  EXPECT_EQ(get("/a.js.gz").headers.get("Content-Type"), "application/gzip");
  EXPECT_FALSE(get("/a.js.gz").headers.has("Content-Encoding"));
}

TEST_F(FilesHandlerTest, AnOlderNeighbourIsNotUsed) {
  write("a.js", "new", std::chrono::seconds(100));
  write("a.js.gz", "old", std::chrono::seconds(200));
  const Answer answer = get("/a.js", {{"Accept-Encoding", "gzip"}});
  EXPECT_EQ(answer.body, "new");
  EXPECT_FALSE(answer.headers.has("Vary"));
}

TEST_F(FilesHandlerTest, NeighboursAreOnlyUsedWhereAsked) {
  files_.precompressed = false;
  write("a.js", "new");
  write("a.js.gz", "zipped");
  EXPECT_EQ(get("/a.js", {{"Accept-Encoding", "gzip"}}).body, "new");
}

// ---- listing ----

TEST_F(FilesHandlerTest, Listing) {
  files_.listing = true;
  write("f/<b>&\"'.txt", std::string(2048, 'x'));
  write("f/.hidden", "x");
  write("f/\xFF.txt", "x");
  write("f/sub/x", "x");
  const Answer page = get("/f/");
  EXPECT_EQ(page.status, 200);
  EXPECT_EQ(page.headers.get("Content-Type"), "text/html; charset=utf-8");
  EXPECT_EQ(page.headers.get("Vary"), "Accept");
  EXPECT_NE(page.body.find("<a href=\"./%3Cb%3E%26%22%27.txt\">&lt;b&gt;&amp;&quot;&#39;.txt</a>"), std::string::npos)
      << page.body;
  EXPECT_NE(page.body.find("title=\"2048 bytes\">2.0 KB"), std::string::npos);
  EXPECT_NE(page.body.find("./%FF.txt\">\xEF\xBF\xBD.txt"), std::string::npos);
  EXPECT_NE(page.body.find("href=\"../\""), std::string::npos);
  EXPECT_EQ(page.body.find("hidden"), std::string::npos);
  EXPECT_LT(page.body.find("./sub/"), page.body.find("./%3Cb"));
  EXPECT_EQ(get("/").body.find("href=\"../\""), std::string::npos);
  const Answer json = get("/f/", {{"Accept", "application/json"}});
  EXPECT_EQ(json.headers.get("Content-Type"), "application/json");
  EXPECT_NE(
      json.body.find("{\"name\":\"<b>&\\\"'.txt\",\"href\":\"%3Cb%3E%26%22%27.txt\",\"type\":\"file\",\"size\":2048"),
      std::string::npos)
      << json.body;
  EXPECT_EQ(get("/f/", {{"If-None-Match", std::string(page.headers.get("ETag"))}}).status, 304);
}

TEST_F(FilesHandlerTest, AListingFollowsItsFolder) {
  files_.listing = true;
  cache_.valid = std::chrono::hours(1);
  write("f/one", "x");
  EXPECT_NE(get("/f/").body.find("./one"), std::string::npos);
  write("f/two", "x");
  EXPECT_TRUE(eventually([&] { return get("/f/").body.find("./two") != std::string::npos; }));
  write("f/one", std::string(500, 'x'));
  EXPECT_TRUE(eventually([&] { return get("/f/").body.find("500 B") != std::string::npos; }));
  write("f/index.html", "index");
  EXPECT_TRUE(eventually([&] { return get("/f/").body == "index"; }));
}

TEST_F(FilesHandlerTest, AHundredThousandFiles) {
  files_.listing = true;
  if (::access("/dev/shm", W_OK) == 0) {  // memory: making so many takes seconds on a disk
    std::filesystem::remove_all(outer_);
    std::string name = "/dev/shm/files-test-XXXXXX";
    files_.root = root_ = outer_ = ::mkdtemp(name.data());
  }
  std::filesystem::create_directory(root_ + "/many");
  for (int i = 0; i < 100'000; ++i) {
    const int fd = ::open((root_ + "/many/f" + std::to_string(i)).c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
    ASSERT_GE(fd, 0);
    ::close(fd);
  }
  write("a.txt", "quick");
  EXPECT_EQ(get("/many/f99999").status, 200);
  // While the folder is read, others are answered.
  std::promise<Answer> slow;
  auto answered = slow.get_future();
  net::TaskGroup group;
  FilesHandler& handler = this->handler();
  loop_.post([&] { group.start(one(handler, Method::get, "/many/", {}, "", slow)); });
  EXPECT_EQ(get("/a.txt").body, "quick");
  const Answer page = answered.get();
  on_loop([] {});
  EXPECT_LT(page.body.find(">f9<"), page.body.find(">f10<"));
  EXPECT_NE(page.body.find(">f99999<"), std::string::npos);
}

}  // namespace
}  // namespace fivefold::models::files
