<%@ page contentType="text/html;charset=UTF-8" %><!doctype html>
<title>Shop</title>
<p>${pageContext.request.contextPath} adds <%= 1 + 2 %> and says ${empty param.name ? "nobody" : param.name}</p>
