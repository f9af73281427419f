#include "config/python_source.h"

#include <gtest/gtest.h>

namespace fivefold::config {
namespace {

TEST(PythonSource, FindsTheApplicationOfAFramework) {
  struct Case {
    const char *source, *object;
    bool asynchronous, factory;
  };
  const Case cases[] = {
      {"from flask import Flask\napp = Flask(__name__)\n", "app", false, false},
      {"import flask\r\n\r\nsite = flask.Flask(__name__)\r\n", "site", false, false},
      {"api: FastAPI = FastAPI(title=\"x\")", "api", true, false},
      {"from starlette.applications import Starlette\napp=Starlette()", "app", true, false},
      {"from flask import (Blueprint, Flask)\ndef create_app(config=None):\n    app = Flask('x')\n", "create_app",
       false, true},
      {"from fastapi import FastAPI\n\ndef create_app():\n  return FastAPI()\n", "create_app", true, true},
      {"app = Bottle()", "app", false, false},
  };
  for (const auto& [source, object, asynchronous, factory] : cases) {
    const auto found = python_application(source);
    ASSERT_TRUE(found) << source;
    EXPECT_EQ(found->object, object) << source;
    EXPECT_EQ(found->asynchronous, asynchronous) << source;
    EXPECT_EQ(found->factory, factory) << source;
  }
  for (const auto* source : {"", "import flask\n", "  app = Flask(__name__)", "app == Flask(x)", "app = Flask",
                             "x = MyFlask()", "def create_app(): pass", "# app = Flask(__name__)", "1a = Flask()",
                             "from flask import Flask as F\ndef create_app("})
    EXPECT_FALSE(python_application(source)) << source;
}

TEST(PythonSource, FindsTheCallable) {
  const std::pair<const char*, const char*> cases[] = {
      {"application = get_wsgi_application()", "application"},
      {"", "application"},
      {"from shop import app\n", "app"},
      {"from shop import create_app as make, app\n", "app"},
      {"from shop import app as application", "application"},
      {"from shop import apps\n", "application"},
      {"def application(environ, start_response):\n  pass", "application"},
      {"async def app(scope, receive, send):\n  pass", "app"},
      {"app = make()\napplication = wrap(app)\n", "application"},
      {"class app: pass", "app"},
      {"site = Flask(__name__)", "site"},
      {"app: object = 1", "app"},
  };
  for (const auto& [source, callable] : cases) EXPECT_EQ(python_callable(source), callable) << source;
}

TEST(PythonSource, FindsTheSettingsOfDjango) {
  EXPECT_EQ(django_settings("os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.settings')\n"), "shop.settings");
  EXPECT_EQ(django_settings("os.environ.setdefault(\n  \"DJANGO_SETTINGS_MODULE\",\n  \"shop.settings.dev\",\n)"),
            "shop.settings.dev");
  EXPECT_EQ(django_settings("os.environ['DJANGO_SETTINGS_MODULE'] = \"shop.settings\""), "shop.settings");
  for (const auto* source : {"", "DJANGO_SETTINGS_MODULE", "'DJANGO_SETTINGS_MODULE', '../x'",
                             "\"DJANGO_SETTINGS_MODULE\", \"a", "'DJANGO_SETTINGS_MODULE', name\nx = 'y'"})
    EXPECT_EQ(django_settings(source), "") << source;
}

}  // namespace
}  // namespace fivefold::config
