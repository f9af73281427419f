package shop;

import jakarta.servlet.annotation.WebServlet;
import jakarta.servlet.http.Cookie;
import jakarta.servlet.http.HttpServlet;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import jakarta.servlet.http.HttpSession;
import java.io.IOException;
import java.util.Enumeration;

/** What an application sees of a request, a session that counts, a form, a failure, downloads of any size. */
@WebServlet("/hello/*")
public class Hello extends HttpServlet {
  @Override
  protected void doGet(HttpServletRequest request, HttpServletResponse response) throws IOException {
    String path = request.getPathInfo() == null ? "/" : request.getPathInfo();
    response.setContentType("text/plain;charset=UTF-8");
    switch (path) {
      case "/count" -> {
        HttpSession session = request.getSession();
        Integer seen = (Integer) session.getAttribute("seen");
        session.setAttribute("seen", seen == null ? 1 : seen + 1);
        response.getWriter().print("seen " + session.getAttribute("seen"));
      }
      case "/cookies" -> {
        response.addCookie(new Cookie("one", "1"));
        response.addCookie(new Cookie("two", "2"));
        for (Cookie cookie : request.getCookies() == null ? new Cookie[0] : request.getCookies()) {
          response.getWriter().println(cookie.getName() + "=" + cookie.getValue());
        }
      }
      case "/fail" -> throw new IllegalStateException("the secret reason");
      case "/missing" -> response.sendError(404);
      case "/redirect" -> response.sendRedirect(request.getContextPath() + "/hello/elsewhere");
      case "/large" -> {
        int size = Integer.parseInt(request.getParameter("size"));
        byte[] block = new byte[65536];
        java.util.Arrays.fill(block, (byte) 'x');
        if (request.getParameter("length") != null) response.setContentLength(size);
        for (int left = size; left > 0; left -= block.length) response.getOutputStream().write(block, 0, Math.min(left, block.length));
      }
      default -> {
        var out = response.getWriter();
        out.println("remote " + request.getRemoteAddr());
        out.println("scheme " + request.getScheme() + " " + request.isSecure());
        out.println("server " + request.getServerName() + " " + request.getServerPort());
        out.println("url " + request.getRequestURL());
        out.println("context " + request.getContextPath() + " path " + path + " query " + request.getQueryString());
        out.println("temporary " + getServletContext().getAttribute("jakarta.servlet.context.tempdir"));
        for (Enumeration<String> names = request.getParameterNames(); names.hasMoreElements(); ) {
          String name = names.nextElement();
          out.println("parameter " + name + "=" + request.getParameter(name));
        }
      }
    }
  }

  @Override
  protected void doPost(HttpServletRequest request, HttpServletResponse response) throws IOException {
    request.setCharacterEncoding("UTF-8");
    doGet(request, response);
  }

  @Override
  protected void doPut(HttpServletRequest request, HttpServletResponse response) throws IOException {
    response.setContentType("text/plain");
    response.getWriter().print(Upload.digest(request.getInputStream()));
  }
}
