package shop;

import jakarta.servlet.ServletException;
import jakarta.servlet.annotation.MultipartConfig;
import jakarta.servlet.annotation.WebServlet;
import jakarta.servlet.http.HttpServlet;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import jakarta.servlet.http.Part;
import java.io.IOException;
import java.io.InputStream;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;

@WebServlet("/upload")
@MultipartConfig(fileSizeThreshold = 65536)
public class Upload extends HttpServlet {
  @Override
  protected void doPost(HttpServletRequest request, HttpServletResponse response) throws IOException, ServletException {
    Part file = request.getPart("file");
    response.setContentType("text/plain;charset=UTF-8");
    response.getWriter().print(request.getParameter("comment") + " " + file.getSubmittedFileName() + " " + digest(file.getInputStream()));
  }

  static String digest(InputStream stream) throws IOException {
    try {
      MessageDigest digest = MessageDigest.getInstance("SHA-256");
      byte[] block = new byte[65536];
      for (int got; (got = stream.read(block)) > 0; ) digest.update(block, 0, got);
      return HexFormat.of().formatHex(digest.digest());
    } catch (NoSuchAlgorithmException impossible) {
      throw new IOException(impossible);
    }
  }
}
