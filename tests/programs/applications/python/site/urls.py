from django.contrib import admin
from django.urls import path
from pages import views

urlpatterns = [path("admin/", admin.site.urls), path("hello", views.hello), path("form", views.form), path("upload", views.upload), path("multipart", views.multipart),
               path("download/<int:size>", views.download), path("cookies", views.cookies), path("events", views.events), path("count", views.count),
               path("who", views.who), path("fail", views.fail)]
