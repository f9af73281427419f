<%@ page contentType="text/html;charset=UTF-8" %><!doctype html>
<title>Shop</title>
<%
  Integer seen = (Integer) session.getAttribute("seen");
  session.setAttribute("seen", seen == null ? 1 : seen + 1);
%>
<p>Request ${sessionScope.seen} of this session, from ${pageContext.request.remoteAddr}.</p>
